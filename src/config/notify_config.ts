import type { SettingReader } from "./setting_reader.js";

/** Who is notified when a person is needed. */
export interface NotifyConfig {
  readonly webhook: { readonly url: string; readonly secretsFile: string } | undefined;
  readonly command: readonly string[] | undefined;
  /** Absolute. */
  readonly file: string | undefined;
  readonly beforeEndMs: number;
  readonly links: boolean;
}

export function readNotifyConfig(reader: SettingReader): NotifyConfig {
  const url = reader.get("NEXUS_NOTIFY_URL");
  const secretsFile = reader.get("NEXUS_NOTIFY_SECRETS_FILE");
  const command = reader.get("NEXUS_NOTIFY_COMMAND");
  if (url === undefined) reader.needs("NEXUS_NOTIFY_URL", ["NEXUS_NOTIFY_SECRETS_FILE"]);
  if (secretsFile === undefined) reader.needs("NEXUS_NOTIFY_SECRETS_FILE", ["NEXUS_NOTIFY_URL"]);
  return Object.freeze({
    webhook: url !== undefined && secretsFile !== undefined ? Object.freeze({ url, secretsFile }) : undefined,
    command: command?.source === "command" ? command.argv : undefined,
    file: reader.get("NEXUS_NOTIFY_FILE"),
    beforeEndMs: reader.get("NEXUS_NOTIFY_BEFORE_END"),
    links: reader.get("NEXUS_NOTIFY_LINKS"),
  });
}
