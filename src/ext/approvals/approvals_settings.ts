import { isIP } from "node:net";
import { addresses, ExtensionSettings, origin, type SettingGroups, toggle } from "../../config/config.js";

const groups = {
  Approvals: {
    NEXUS_APPROVALS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "off",
      meaning: "Addresses of the pages where people approve held requests with a passkey, or off.",
    },
    NEXUS_APPROVALS_URL: {
      kind: origin,
      unset: "http(s)://localhost with the first TCP port of NEXUS_APPROVALS_LISTEN",
      meaning:
        "These pages' URL for phones: https with a domain name, without a path. Passkeys are bound to this domain: if it changes, register them again.",
    },
    NEXUS_APPROVALS_REQUIRE_PASSKEY: {
      kind: toggle,
      default: "false",
      meaning:
        "Only a passkey approves held requests; the console and nexusd approvals can then only deny them.",
    },
  },
} as const satisfies SettingGroups;

export const approvalsSettings = new ExtensionSettings(
  groups,
  (reader) => {
    const get = reader.of<typeof groups>();
    const listen = get("NEXUS_APPROVALS_LISTEN");
    const url = get("NEXUS_APPROVALS_URL");
    const needsPasskey = get("NEXUS_APPROVALS_REQUIRE_PASSKEY");
    // Web Authentication, section 5.1.3: an RP ID is a domain.
    if (url !== undefined && isIP(new URL(url).hostname.replace(/^\[|\]$/g, "")) !== 0)
      reader.refuse(
        "NEXUS_APPROVALS_URL",
        "must have a domain name, because passkeys do not work at an address",
        url,
      );
    if (needsPasskey && listen.length === 0)
      reader.refuse(
        "NEXUS_APPROVALS_REQUIRE_PASSKEY",
        "needs NEXUS_APPROVALS_LISTEN: without it nobody could approve",
      );
    return Object.freeze({ listen, url, needsPasskey });
  },
  { listener: { name: "approvals", usesTls: false, isForCallers: false } },
);
