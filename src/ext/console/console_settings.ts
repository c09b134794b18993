import { addresses, ExtensionSettings, origin, type SettingGroups } from "../../config/config.js";

const groups = {
  Console: {
    NEXUS_CONSOLE_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:0",
      atPortBase: (base) => `127.0.0.1:${base + 3}`,
      meaning:
        "Addresses of the console, or off. Do not expose it to the internet. Port 0 is a free port, kept if possible.",
    },
    NEXUS_CONSOLE_URL: {
      kind: origin,
      unset: "the first TCP address of NEXUS_CONSOLE_LISTEN",
      meaning: "The console's URL for browsers: https (http on loopback), without a path.",
    },
  },
} as const satisfies SettingGroups;

export const consoleSettings = new ExtensionSettings(
  groups,
  (reader) => {
    const get = reader.of<typeof groups>();
    return Object.freeze({ listen: get("NEXUS_CONSOLE_LISTEN"), url: get("NEXUS_CONSOLE_URL") });
  },
  { listener: { name: "console", usesTls: false, isForCallers: false } },
);
