import { Command } from "commander";
import { type ApiKey, ApiKeySchema, type Restriction, type Role } from "../../gen/nexus/v1/access_pb.js";
import { roles } from "../../model/access/access_table.js";
import { describeRestriction } from "../../model/access/scope_restriction.js";
import { addDaemonFlags, type DaemonFlags, type DaemonSession, withDaemon } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { formatTable, formatTime, jsonLine } from "../shell/text.js";

interface ListFlags extends DaemonFlags {
  readonly all?: boolean;
}

export function keysListCommand(shell: Shell): Command {
  const command = new Command("list")
    .description("list the API keys, and when each was last used (to the hour)")
    .option("--all", "revoked keys too");
  return addDaemonFlags(command).action((flags: ListFlags) =>
    withDaemon(shell, flags, async (session) => {
      const keys = await allKeys(session, flags.all === true);
      if (flags.json) {
        for (const key of keys) shell.stdout.write(jsonLine(ApiKeySchema, key));
        return;
      }
      if (keys.length === 0) return shell.stderr.write("no API keys: nexusd keys create --help\n");
      const header = [
        "NAME",
        "ID",
        "ROLE",
        "RESTRICTED TO",
        "CREATED",
        "BY",
        "EXPIRES",
        "LAST USED",
        "REVOKED",
      ];
      shell.stdout.write(formatTable(header, keys.map(cellsOf)));
    }),
  );
}

async function allKeys({ daemon, call }: DaemonSession, includeRevoked: boolean): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  let pageToken = "";
  do {
    const page = await call("list the API keys", (options) =>
      daemon.access.listApiKeys({ pageSize: 1000, pageToken, includeRevoked }, options),
    );
    keys.push(...page.apiKeys);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return keys;
}

function cellsOf(key: ApiKey): string[] {
  return [
    key.name,
    key.id,
    roleName(key.role),
    restrictionText(key.restriction),
    formatTime(key.createdAt),
    key.createdBy,
    formatTime(key.expiresAt) || "never",
    formatTime(key.lastUsedAt) || "never",
    key.revokedAt ? `${formatTime(key.revokedAt)} by ${key.revokedBy}` : "",
  ];
}

/** `agent`; a number of a newer daemon stays a number. */
export function roleName(role: Role): string {
  return role === 0 ? "none" : (roles[role - 1] ?? `role ${role}`);
}

export function restrictionText(restriction: Restriction | undefined): string {
  if (!restriction) return "";
  const { userIds, providers, connectionIds } = restriction;
  return describeRestriction({
    ...(userIds.length > 0 && { userIds }),
    ...(providers.length > 0 && { providers }),
    ...(connectionIds.length > 0 && { connectionIds }),
  });
}
