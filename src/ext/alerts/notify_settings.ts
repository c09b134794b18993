import {
  age,
  ExtensionSettings,
  keyCommand,
  path,
  type SettingGroups,
  type SettingKind,
  toggle,
  webUrlViolation,
} from "../../config/config.js";

/** Where a webhook is. Its path may hold a secret. */
const webhookUrl: SettingKind<string> = {
  argument: "url",
  isHidden: true,
  parse: (value, note) => {
    const violation = webUrlViolation(value);
    if (violation !== undefined) note(violation);
    return value;
  },
};

const groups = {
  Notifications: {
    NEXUS_NOTIFY_URL: {
      kind: webhookUrl,
      meaning:
        "Webhook for events (Standard Webhooks). The address rules for providers apply. Needs NEXUS_NOTIFY_SECRETS_FILE.",
    },
    NEXUS_NOTIFY_SECRETS_FILE: {
      kind: path("file"),
      meaning:
        "Secrets that sign its messages, one per line: whsec_ and 24 to 64 bytes in base64. Read for each message.",
    },
    NEXUS_NOTIFY_COMMAND: {
      kind: keyCommand,
      meaning:
        "Command to run for each event, without a shell, with JSON on standard input; 0 means success. It inherits no NEXUS_ variable, and none that NEXUS_PROVIDERS_FILE names.",
    },
    NEXUS_NOTIFY_FILE: {
      kind: path("file"),
      meaning: "More receivers, YAML or JSON, each with its events. Read at start.",
    },
    NEXUS_NOTIFY_BEFORE_END: {
      kind: age,
      default: "7d",
      meaning:
        "How long before a consent expires to send connection.expiring; at most a fifth of its lifetime.",
    },
    NEXUS_NOTIFY_LINKS: {
      kind: toggle,
      default: "true",
      meaning: "Put a consent link into events. No effect with NEXUS_REQUIRE_CONFIRMATION.",
    },
  },
} as const satisfies SettingGroups;

/** Who is notified when a person is needed. */
export const notifySettings = new ExtensionSettings(groups, (reader) => {
  const get = reader.of<typeof groups>();
  const url = get("NEXUS_NOTIFY_URL");
  const secretsFile = get("NEXUS_NOTIFY_SECRETS_FILE");
  const command = get("NEXUS_NOTIFY_COMMAND");
  if (url === undefined) reader.needs("NEXUS_NOTIFY_URL", ["NEXUS_NOTIFY_SECRETS_FILE"]);
  if (secretsFile === undefined) reader.needs("NEXUS_NOTIFY_SECRETS_FILE", ["NEXUS_NOTIFY_URL"]);
  return Object.freeze({
    webhook: url !== undefined && secretsFile !== undefined ? Object.freeze({ url, secretsFile }) : undefined,
    command: command?.source === "command" ? command.argv : undefined,
    file: get("NEXUS_NOTIFY_FILE"),
    beforeEndMs: get("NEXUS_NOTIFY_BEFORE_END"),
    links: get("NEXUS_NOTIFY_LINKS"),
  });
});
