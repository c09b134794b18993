import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { Command, InvalidArgumentError, Option } from "commander";
import { exitCodes } from "../../core/exit_codes.js";
import type {
  CreateApiKeyResponse,
  Role as RoleNumber,
  RotateApiKeyResponse,
} from "../../gen/nexus/v1/access_pb.js";
import { type Role, roles } from "../../model/access/access_table.js";
import { readingMethods } from "../../model/access/reading_requests.js";
import { describeRestriction, restrictionFrom } from "../../model/access/scope_restriction.js";
import { parseDurationText } from "../../model/json_fields.js";
import { didYouMean } from "../../model/suggestions.js";
import { connectionArgument, findConnection } from "../connections/connection_key.js";
import { restrictedProvider } from "../providers/provider_key.js";
import { withStep } from "../shell/call_failure.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import { confirm } from "../shell/confirm.js";
import {
  type ConfirmedFlags,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
} from "../shell/daemon_command.js";
import { NewSecretFile } from "../shell/files.js";
import { addNotes } from "../shell/help.js";
import { collect, parseDurationMs, parseTimeMs, parseUses } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatAge, formatTime, jsonLine, printable } from "../shell/text.js";
import { endOf, leaseHelp, leaseText, lifeText, renewCommand, usesHelp, usesText } from "./lease.js";

interface CreateFlags extends DaemonFlags {
  readonly role: Role;
  readonly user?: string[];
  readonly provider?: string[];
  readonly connection?: string[];
  readonly method?: string[];
  readonly path?: string[];
  readonly readOnly?: boolean;
  readonly expires?: (nowMs: number) => number;
  readonly lease?: number;
  readonly uses?: ReturnType<typeof parseUses>;
  readonly output?: string;
}

export function keysCommand(shell: Shell): Command {
  return new Command("keys")
    .addCommand(createCommand(shell))
    .addCommand(listCommand(shell))
    .addCommand(rotateCommand(shell))
    .addCommand(renewCommand(shell))
    .addCommand(revokeCommand(shell));
}

const notes =
  "The key is shown only once; the daemon stores only its digest. An agent is restricted to the users, providers and connections that you name: a connection must match each kind that is given. --user 'acme:*' is every user that begins so. With --read-only, --method or --path it gets no token: it sends its requests through nexusd run or the egress listener, which check each of them.";

function createCommand(shell: Shell): Command {
  const command = new Command("create")
    .description("create an API key; its principal is key:<name>")
    .argument("<name>", "lower-case letters, digits, dot, dash, underscore; names cannot be reused")
    .addOption(new Option("--role <role>", "its role").choices([...roles]).default("agent"))
    .option("--user <id>", "restrict to this user; repeatable", collect)
    .option("--provider <name>", "restrict to this provider; repeatable", collect)
    .option("--connection <connection>", `restrict to ${connectionArgument}; repeatable`, collect)
    .option("--read-only", "only requests that read; returns no token, see below")
    .option("--method <method>", "only requests with this method; repeatable", collect)
    .option(
      "--path <path>",
      "only requests to this path; /repos/acme/* matches all below; repeatable",
      collect,
    )
    .option(
      "--expires <when>",
      "when it expires: 90d, 12h, or 2027-01-31T00:00:00Z; default: never",
      parseWhen,
    )
    .option("--lease <duration>", leaseHelp, parseDurationMs)
    .option("--uses <limit>", usesHelp, parseUses)
    .option("--output <file>", "write the key into a new file (0600) and do not print it");
  addNotes(command, notes);
  return daemonCommand(shell, command, async (session, flags: CreateFlags, name: string) => {
    const { daemon, call } = session;
    const expiresAtMs = flags.expires?.(shell.clock.nowMs());
    const { user: userIds = [], provider = [], connection = [], method = [], path: paths = [] } = flags;
    const isRestricted = [userIds, provider, connection].some((list) => list.length > 0);
    const methods = [...new Set([...(flags.readOnly ? readingMethods : []), ...method])];
    if (!isRestricted && flags.role === "agent")
      throw usageFailure(
        "an agent needs a restriction: give --user, --provider, or --connection; --user '*' allows every user",
      );
    const providers = await Promise.all(provider.map((text) => restrictedProvider(session, text)));
    const found = connection.map((text) => findConnection(session, text));
    const connectionIds = await Promise.all(found);
    const request = {
      name,
      role: roles.indexOf(flags.role) + 1,
      ...(isRestricted && { restriction: { userIds, providers, connectionIds, methods, paths } }),
      ...(expiresAtMs !== undefined && { expiresAt: timestampFromMs(expiresAtMs) }),
      ...(flags.lease !== undefined && { lease: durationFromMs(flags.lease) }),
      ...(flags.uses && { uses: flags.uses }),
    };
    // Made first: a key that cannot be written down would be lost.
    const file = flags.output === undefined ? undefined : NewSecretFile.create(flags.output);
    try {
      const answer = await call(`make the API key ${name}`, daemon.access.createApiKey, request);
      const until = answer.apiKey ? lifeText(answer.apiKey) : "";
      showKey(shell, answer, `key:${name} may act as ${flags.role}${until}`, file, flags);
    } catch (error) {
      file?.remove();
      throw error;
    }
  });
}

/** In its file, or once on standard output. */
function showKey(
  { stdout, stderr }: Shell,
  answer: CreateApiKeyResponse | RotateApiKeyResponse,
  sentence: string,
  file: NewSecretFile | undefined,
  { json }: DaemonFlags,
): void {
  file?.write(`${answer.key}\n`);
  if (json) {
    stdout.write(jsonLine(file ? { ...answer, key: "" } : answer));
    return;
  }
  const where = file ? `is in ${file.path}` : "is below, and cannot be shown again";
  stderr.write(`${sentence}; the key ${where}\n`);
  if (!file) stdout.write(`${answer.key}\n`);
}

interface KeyRotateFlags extends ConfirmedFlags {
  readonly keep?: number;
  readonly output?: string;
}

function rotateCommand(shell: Shell): Command {
  const command = new Command("rotate")
    .description("give an API key a new secret; name, role, restriction, and expiry stay")
    .argument("<name>", "its name")
    .option(
      "--keep <duration>",
      "how long the old secret keeps working, such as 24h (default: not at all)",
      parseDurationMs,
    )
    .option("--output <file>", "write the key into a new file (0600) and do not print it")
    .option("--yes", "do not ask");
  return daemonCommand(shell, command, async (session, flags: KeyRotateFlags, name: string) => {
    const { daemon, call } = session;
    const { keep: keepMs, output, yes } = flags;
    const question = `Rotate the API key ${name}? The old secret stops working at once; --keep delays that.`;
    if (keepMs === undefined) await confirmFor(session, name, question, yes);
    const file = output === undefined ? undefined : NewSecretFile.create(output);
    try {
      const request = {
        key: { case: "name", value: name } as const,
        ...(keepMs !== undefined && { keepOld: durationFromMs(keepMs) }),
      };
      const answer = await withStep(Code.NotFound, "see nexusd keys list", () =>
        call(`rotate the API key ${name}`, daemon.access.rotateApiKey, request),
      );
      const oldUntil = answer.apiKey?.oldUntil;
      const old = oldUntil ? `works until ${formatTime(oldUntil)}` : "is refused";
      showKey(shell, answer, `key:${name} has a new secret, and the old one ${old}`, file, flags);
    } catch (error) {
      file?.remove();
      throw error;
    }
  });
}

/** A duration from now, or a time (RFC 3339). */
function parseWhen(text: string): (nowMs: number) => number {
  const timeMs = parseTimeMs(text);
  if (timeMs !== undefined) return () => timeMs;
  const durationMs = parseDurationText(text);
  if (durationMs === undefined)
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a time: write 90d, 12h, or 2027-01-31T00:00:00Z.`,
    );
  return (nowMs) => nowMs + durationMs;
}

function listCommand(shell: Shell): Command {
  const command = new Command("list")
    .description("list the API keys, and when each was last used (to the hour)")
    .option("--all", "include revoked keys");
  return daemonCommand(
    shell,
    command,
    async ({ daemon, listAll, showList }, flags: DaemonFlags & { readonly all?: boolean }) => {
      const includeRevoked = flags.all === true;
      const keys = await listAll(
        "list the API keys",
        daemon.access.listApiKeys,
        { includeRevoked },
        ({ apiKeys }) => apiKeys,
      );
      showList(keys, {
        none: "no API keys: nexusd keys create --help\n",
        columns: {
          NAME: ({ name }) => name,
          ID: ({ id }) => id,
          ROLE: ({ role }) => roleName(role),
          "RESTRICTED TO": ({ restriction }) =>
            restriction ? describeRestriction(restrictionFrom(restriction)) : "",
          CREATED: ({ createdAt }) => formatAge(createdAt, shell.clock.nowMs()),
          BY: ({ createdBy }) => createdBy,
          EXPIRES: (key) =>
            formatAge(endOf(key), shell.clock.nowMs()).replace(/^(?!in )(?=.)/, "expired ") || "never",
          LEASE: ({ lease }) => leaseText(lease),
          USES: ({ uses }) => usesText(uses),
          "LAST USED": ({ lastUsedAt }) => formatAge(lastUsedAt, shell.clock.nowMs()) || "never",
          REVOKED: ({ revokedAt, revokedBy }) =>
            revokedAt ? `${formatAge(revokedAt, shell.clock.nowMs())} by ${revokedBy}` : "",
        },
      });
    },
  );
}

/** `agent`; a number of a newer daemon stays a number. */
export function roleName(role: RoleNumber): string {
  return role === 0 ? "none" : (roles[role - 1] ?? `role ${role}`);
}

function revokeCommand(shell: Shell): Command {
  const command = new Command("revoke")
    .description("revoke an API key; its streams end within a second")
    .argument("<name>", "its name")
    .option("--yes", "do not ask");
  return daemonCommand(shell, command, async (session, { yes }: ConfirmedFlags, name: string) => {
    const { daemon, call, show } = session;
    await confirmFor(session, name, `Revoke the API key ${name}? It stops working at once.`, yes);
    const answer = await withStep(Code.NotFound, "see nexusd keys list", () =>
      call(`revoke the API key ${name}`, daemon.access.revokeApiKey, {
        key: { case: "name", value: name },
      }),
    );
    show(answer, () => `key:${name} is revoked\n`);
  });
}

/** Asks before something is done to a key. @throws CommandFailure if there is no such key, which nobody should have to confirm */
async function confirmFor(
  { shell, daemon, listAll }: DaemonSession,
  name: string,
  question: string,
  yes: boolean | undefined,
): Promise<void> {
  if (yes === true) return;
  const keys = await listAll("list the API keys", daemon.access.listApiKeys, {}, ({ apiKeys }) => apiKeys);
  const names = keys.map((key) => key.name);
  if (!names.includes(name)) {
    const next = didYouMean(name, names) ?? "see nexusd keys list";
    throw new CommandFailure(exitCodes.failed, `there is no API key ${printable(name)}\n${next}`);
  }
  await confirm(shell, question, yes);
}
