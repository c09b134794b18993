import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { CreateApiKeyResponseSchema } from "../../gen/nexus/v1/access_pb.js";
import { type Role, roles } from "../../model/access/access_table.js";
import { connectionArgument, findConnection } from "../connections/connection_key.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { parseDurationMs, parseTimeMs } from "../shell/duration.js";
import { NewSecretFile } from "../shell/files.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatTime, jsonLine } from "../shell/text.js";

interface CreateFlags extends DaemonFlags {
  readonly role: Role;
  readonly user: string[];
  readonly provider: string[];
  readonly connection: string[];
  readonly expires?: (nowMs: number) => number;
  readonly output?: string;
}

const notes =
  "The key is shown this once; the daemon keeps its digest alone. An agent is restricted to the users, providers and connections that are named: a connection must fit each kind that is given. --user 'acme:*' is every user that begins so.";

export function keysCreateCommand(shell: Shell): Command {
  const command = new Command("create")
    .description("make an API key; its principal is key:<name>")
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore; a name is never used twice")
    .addOption(new Option("--role <role>", "what it may").choices([...roles]).default("agent"))
    .option("--user <id>", "restrict to this user (repeatable)", collect, [])
    .option("--provider <name>", "restrict to this provider (repeatable)", collect, [])
    .option("--connection <connection>", `restrict to ${connectionArgument} (repeatable)`, collect, [])
    .option(
      "--expires <when>",
      "when it ends: 90d, 12h, or 2027-01-31T00:00:00Z; never without it",
      parseWhen,
    )
    .option("--output <file>", "write the key into a new file (0600) and do not print it");
  return addDaemonFlags(addNotes(command, notes)).action((name: string, flags: CreateFlags) =>
    withDaemon(shell, flags, async (session) => {
      const expiresAtMs = flags.expires?.(shell.clock.nowMs());
      const { user: userIds, provider: providers } = flags;
      const found = flags.connection.map((text) => findConnection(shell, session, text));
      const connectionIds = await Promise.all(found);
      const isRestricted = userIds.length + providers.length + connectionIds.length > 0;
      // Made first: a key that cannot be written down would be lost.
      const file = flags.output === undefined ? undefined : NewSecretFile.create(flags.output);
      try {
        const answer = await session.call(`make the API key ${name}`, (options) =>
          session.daemon.access.createApiKey(
            {
              name,
              role: roles.indexOf(flags.role) + 1,
              ...(isRestricted && { restriction: { userIds, providers, connectionIds } }),
              ...(expiresAtMs !== undefined && { expiresAt: timestampFromMs(expiresAtMs) }),
            },
            options,
          ),
        );
        file?.write(`${answer.key}\n`);
        const shown = file ? { ...answer, key: "" } : answer;
        if (flags.json) return shell.stdout.write(jsonLine(CreateApiKeyResponseSchema, shown));
        const until = answer.apiKey?.expiresAt ? ` until ${formatTime(answer.apiKey.expiresAt)}` : "";
        const where = file ? `is in ${flags.output}` : "is below, and cannot be shown again";
        shell.stderr.write(`key:${name} may act as ${flags.role}${until}; the key ${where}\n`);
        if (!file) shell.stdout.write(`${answer.key}\n`);
      } catch (error) {
        file?.remove();
        throw error;
      }
    }),
  );
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

/** A duration from now, or a time (RFC 3339). */
function parseWhen(text: string): (nowMs: number) => number {
  const timeMs = parseTimeMs(text);
  if (timeMs !== undefined) return () => timeMs;
  const durationMs = parseDurationMs(text);
  return (nowMs) => nowMs + durationMs;
}
