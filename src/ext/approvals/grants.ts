import { randomBytes } from "node:crypto";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError } from "commander";
import {
  addNotes,
  CommandFailure,
  type ConfirmedFlags,
  collect,
  confirm,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
  endOf,
  findProvider,
  formatAge,
  isNotFound,
  leaseHelp,
  leaseText,
  lifeText,
  NewSecretFile,
  parseDurationMs,
  parseTimeMs,
  parseUses,
  printable,
  providerArgument,
  type Shell,
  shellWord,
  usageFailure,
  usesHelp,
  usesText,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { type ApiKey, Role } from "../../gen/nexus/v1/access_pb.js";
import {
  agentOfGrant,
  describeRestriction,
  readingMethods,
  restrictionFrom,
} from "../../model/access/access.js";
import { parseDurationText } from "../../model/model.js";
import { canonicalName } from "../../model/providers/providers.js";

interface GrantFlags extends DaemonFlags {
  readonly until?: (nowMs: number) => number;
  readonly lease?: number;
  readonly uses?: ReturnType<typeof parseUses>;
  readonly user?: string;
  readonly readOnly?: boolean;
  readonly method?: string[];
  readonly path?: string[];
  readonly output?: string;
}

const note =
  "A grant is an API key that expires, named AGENT.PROVIDER and a few digits, or AGENT.several for several providers. nexusd keys list shows it too. When it expires, its streams and tunnels end within a second. The agent renews a lease with `nexusd keys renew`. `nexusd run` and `nexusd mcp` do it by themselves.";

export function grantCommand(shell: Shell): Command {
  const command = new Command("grant")
    .description("let an agent use providers for a limited time; prints its key")
    .argument("<agent>", "name of the agent: lower-case letters, digits, dash, underscore", parseAgent)
    .argument("<provider...>", providerArgument)
    .option("--until <when>", "when it expires: 18:00, 8h, or 2027-01-31T00:00:00Z", parseUntil)
    .option("--lease <duration>", leaseHelp, parseDurationMs)
    .option("--uses <limit>", usesHelp, parseUses)
    .option("--user <id>", "user whose connections it uses (default: your login name)")
    .option("--read-only", "only requests that read")
    .option("--method <method>", "only requests with this method; repeatable", collect)
    .option(
      "--path <path>",
      "only requests to this path; /repos/acme/* matches all below; repeatable",
      collect,
    )
    .option("--output <file>", "write the key into a new file (0600) and do not print it");
  addNotes(command, note);
  return daemonCommand(shell, command, async (session, flags: GrantFlags, agent: string, named: string[]) => {
    const { daemon, call, show } = session;
    const expiresAtMs = flags.until?.(shell.clock.nowMs());
    if (expiresAtMs === undefined && flags.lease === undefined)
      throw usageFailure("a grant expires: give --until, --lease, or both");
    const methods = [...new Set([...(flags.readOnly ? readingMethods : []), ...(flags.method ?? [])])];
    const userIds = [flags.user ?? shell.userName()];
    const found: string[] = [];
    for (const each of named) found.push((await findProvider(session, each)).provider.name);
    const providers = [...new Set(found)];
    const words = providers.join(", ");
    const file = flags.output === undefined ? undefined : NewSecretFile.create(flags.output);
    try {
      const answer = await call(`grant ${words} to ${agent}`, daemon.access.createApiKey, {
        name: `${agent}.${providers.length === 1 ? words : "several"}.${randomBytes(3).toString("hex")}`,
        role: Role.AGENT,
        restriction: { userIds, providers, methods, paths: flags.path ?? [] },
        ...(expiresAtMs !== undefined && { expiresAt: timestampFromMs(expiresAtMs) }),
        ...(flags.lease !== undefined && { lease: durationFromMs(flags.lease) }),
        ...(flags.uses && { uses: flags.uses }),
      });
      file?.write(`${answer.key}\n`);
      const life = answer.apiKey ? lifeText(answer.apiKey) : "";
      shell.stderr.write(`${agent} may use ${words} of ${printable(userIds.join())}${life}\n`);
      shell.stderr.write(proxyLine(shell, file?.path, answer.key));
      show(file ? { ...answer, key: "" } : answer, () => (file ? "" : `${answer.key}\n`));
    } catch (error) {
      file?.remove();
      throw error;
    }
  });
}

/** What the agent's shell needs to call APIs with the key, to copy. A key that goes to a file or a pipe is not printed on the terminal. */
function proxyLine({ env, stdout }: Shell, file: string | undefined, key: string): string {
  const printedKey = stdout.isTTY ? key : "KEY";
  const user = file === undefined ? printedKey : `$(cat ${shellWord(file)})`;
  const [address = ""] = (env["NEXUS_EGRESS_LISTEN"] ?? "").split(",");
  const place = /^[^/]+:\d+$/.test(address.trim()) ? address.trim() : "127.0.0.1:8093";
  const opened = place === address.trim() ? "" : "; NEXUS_EGRESS_LISTEN of the daemon opens and places it";
  return `for the agent, at the egress listener${opened}:\n  export HTTPS_PROXY="http://${user}@${place}"\n`;
}

export function grantsCommand(shell: Shell): Command {
  const command = new Command("grants").description("list active grants");
  return daemonCommand(shell, command, async (session, _flags: DaemonFlags) => {
    const nowMs = shell.clock.nowMs();
    session.showList(await living(session, nowMs, ({ name }) => agentOfGrant(name) !== undefined), {
      none: "no active grants: nexusd grant --help\n",
      columns: {
        AGENT: ({ name }) => agentOfGrant(name) ?? "",
        PROVIDER: ({ restriction }) => restriction?.providers.join(", ") ?? "",
        "RESTRICTED TO": ({ restriction }) =>
          restriction ? describeRestriction(restrictionFrom(restriction)) : "",
        ENDS: (key) => formatAge(endOf(key), nowMs),
        LEASE: ({ lease }) => leaseText(lease),
        USES: ({ uses }) => usesText(uses),
        KEY: ({ name }) => name,
      },
    });
  });
}

export function revokeCommand(shell: Shell): Command {
  const command = new Command("revoke")
    .description("end an agent's grants for a provider")
    .argument("<agent>", "name of the agent", parseAgent)
    .argument("<provider>", providerArgument)
    .option("--yes", "do not ask");
  addNotes(command, "A grant for several providers ends for all of them.");
  return daemonCommand(
    shell,
    command,
    async (session, { yes }: ConfirmedFlags, agent: string, given: string) => {
      // The grants of a provider that was deleted have its name still.
      const provider = await findProvider(session, given).then(
        ({ provider: { name } }) => name,
        (error: unknown) => {
          if (isNotFound(error)) return canonicalName(given);
          throw error;
        },
      );
      const isMeant = ({ name, restriction }: ApiKey): boolean =>
        agentOfGrant(name) !== undefined && (restriction?.providers.includes(provider) ?? false);
      const none = `${agent} has no active grant for ${provider}`;
      await endKeys(session, yes, (key) => isOf(agent, key), { isMeant, none });
    },
  );
}

export function isOf(agent: string, { name }: ApiKey): boolean {
  return name === agent || agentOfGrant(name) === agent;
}

/**
 * Ends those that are meant of the keys.
 *
 * @param none says that there are none
 * @throws CommandFailure then, with the keys that there are instead
 */
export async function endKeys(
  session: DaemonSession,
  yes: boolean | undefined,
  isCandidate: (key: ApiKey) => boolean,
  { isMeant = () => true, none }: { readonly isMeant?: (key: ApiKey) => boolean; readonly none: string },
): Promise<void> {
  const { daemon, call, show, shell } = session;
  const all = await living(session, shell.clock.nowMs(), isCandidate);
  const keys = all.filter(isMeant);
  if (keys.length === 0) throw new CommandFailure(exitCodes.failed, nothingToEnd(none, all));
  const named = keys.map(({ name, restriction }) => {
    const { providers = [] } = restriction ?? {};
    return agentOfGrant(name) !== undefined && providers.length > 1
      ? `${name} (${providers.join(", ")})`
      : name;
  });
  await confirm(shell, `End ${named.join(", ")}? This is final.`, yes);
  for (const { name } of keys) {
    const key = { case: "name", value: name } as const;
    const answer = await call(`end ${name}`, daemon.access.revokeApiKey, { key });
    show(answer, () => `${name} has ended\n`);
  }
}

function nothingToEnd(none: string, others: readonly ApiKey[]): string {
  if (others.length === 0) return `${none}: see nexusd grants`;
  const lines = others.map(({ name, restriction }) => {
    const agent = agentOfGrant(name);
    const [provider = ""] = restriction?.providers ?? [];
    const words = restriction ? describeRestriction(restrictionFrom(restriction)) : "not restricted";
    return agent === undefined
      ? `  the API key ${name} (${words}): nexusd keys revoke ${name}`
      : `  the grant ${name}: nexusd revoke ${agent} ${provider}`;
  });
  return [`${none}; it has`, ...lines].join("\n");
}

export async function living(
  { daemon, listAll }: DaemonSession,
  nowMs: number,
  isMeant: (key: ApiKey) => boolean,
): Promise<ApiKey[]> {
  const keys = await listAll("list the grants", daemon.access.listApiKeys, {}, ({ apiKeys }) => apiKeys);
  const hasEnded = (key: ApiKey): boolean => {
    const end = endOf(key);
    return end !== undefined && timestampMs(end) <= nowMs;
  };
  return keys.filter((key) => isMeant(key) && !hasEnded(key));
}

function parseAgent(text: string): string {
  if (/^[a-z0-9][a-z0-9_-]{0,30}$/.test(text)) return text;
  throw new InvalidArgumentError("It has lower-case letters, digits, dashes and underscores, at most 31.");
}

/** A time of this day or the next on the clock of this machine, a duration from now, or a time (RFC 3339). */
function parseUntil(text: string): (nowMs: number) => number {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hours !== undefined)
    return (nowMs) => {
      const at = new Date(nowMs).setHours(Number(hours), Number(minutes), 0, 0);
      return at > nowMs ? at : new Date(at).setDate(new Date(at).getDate() + 1);
    };
  const timeMs = parseTimeMs(text);
  if (timeMs !== undefined) return () => timeMs;
  const durationMs = parseDurationText(text);
  if (durationMs === undefined)
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a time: write 18:00 (00:00 to 23:59), 8h, or 2027-01-31T00:00:00Z.`,
    );
  return (nowMs) => nowMs + durationMs;
}
