import { ExtensionSettings, type SettingGroups, toggle } from "../../../config/config.js";

const groups = {
  "Recorded requests": {
    NEXUS_RECORD_REQUESTS: {
      kind: toggle,
      default: "false",
      meaning:
        "Record which requests get a credential, for nexusd policy suggest and replay: caller, provider, host, method, and path with ids replaced, never a query, header, or body. Not in a fleet or at a spoke.",
    },
  },
} as const satisfies SettingGroups;

/** Whether requests are recorded. */
export const recordSettings = new ExtensionSettings(groups, (reader) =>
  reader.of<typeof groups>()("NEXUS_RECORD_REQUESTS"),
);
