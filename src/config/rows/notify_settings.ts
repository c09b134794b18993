import { webhookUrl } from "../kinds/address_kinds.js";
import { keyCommand } from "../kinds/key_kinds.js";
import { age, path, type SettingGroups, toggle } from "../kinds/setting_kinds.js";

/** Who is notified when a person is needed. */
export const notifySettings = {
  Notifications: {
    NEXUS_NOTIFY_URL: {
      kind: webhookUrl,
      meaning:
        "A webhook that is called when a connection needs a user, by the conventions of Standard Webhooks. The rules for addresses of providers apply. Needs NEXUS_NOTIFY_SECRETS_FILE.",
    },
    NEXUS_NOTIFY_SECRETS_FILE: {
      kind: path("file"),
      meaning:
        "The secrets that messages to NEXUS_NOTIFY_URL are signed with, a line each: whsec_ and 24 to 64 bytes in base64. It is read for each message.",
    },
    NEXUS_NOTIFY_COMMAND: {
      kind: keyCommand,
      meaning:
        "A command that is run for each event, without a shell, with the JSON on its standard input. 0 means taken. It gets no NEXUS_ variable, and none that NEXUS_PROVIDERS_FILE names.",
    },
    NEXUS_NOTIFY_FILE: {
      kind: path("file"),
      meaning: "More receivers, YAML or JSON, each with the events that it wants. It is read at start.",
    },
    NEXUS_NOTIFY_BEFORE_END: {
      kind: age,
      default: "7d",
      meaning:
        "How long before the end of a consent connection.expiring is sent; at most a fifth of its lifetime before.",
    },
    NEXUS_NOTIFY_LINKS: {
      kind: toggle,
      default: "true",
      meaning:
        "Whether an event contains a link to the consent. The person that opens it decides whose account the agent uses. Without effect with NEXUS_REQUIRE_CONFIRMATION.",
    },
  },
} as const satisfies SettingGroups;
