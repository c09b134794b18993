import type { Fault, Servers } from "../storm/faults.js";
import { isExplained } from "../storm/judge.js";
import type { CountingProvider, Reuse } from "../storm/provider.js";
import type { Life } from "./real_hub.js";
import { RefreshLog } from "./refresh_log.js";

/** So much before a request its history begins. */
const beforeMs = 3_000;

/**
 * The proofs of a storm of real hubs: the log says in whose reign a request was sent, the hubs' own logs which process that was, what it
 * put into its spool file, and how it ended.
 *
 * @returns for each grant that was lost without a reason what happened to it
 */
export async function judgeLosses({
  provider,
  faults,
  lives,
  servers,
  seen,
}: {
  readonly provider: CountingProvider;
  readonly faults: readonly Fault[];
  readonly lives: readonly Life[];
  readonly servers: Servers;
  /** Access tokens that a stream brought. */
  readonly seen: ReadonlySet<string>;
}): Promise<string[]> {
  const log = await RefreshLog.read(servers.primary);
  const reigns = new Map(lives.flatMap((life) => fencesOf(life).map((fence) => [fence, life] as const)));
  const killed = new Set(lives.filter(({ code }) => code === "SIGKILL").map(({ owner }) => owner));
  // A signal that met a process which had ended by itself explains nothing.
  const effective = faults.filter(({ kind, owner }) => kind !== "kill" || killed.has(owner));
  const unexplained: string[] = [];
  for (const reuse of provider.reuses) {
    const { rotation, grant } = reuse;
    const sender = rotation && log.senderOf(grant, rotation.receivedMs);
    const life = sender && reigns.get(sender.fence);
    const kept = new Set(seen);
    if (rotation && (sender?.isDurable || (life && isSpooled(life, grant, rotation.receivedMs))))
      kept.add(rotation.attempt);
    const proven: Reuse = {
      ...reuse,
      rotation: rotation && { ...rotation, owner: life?.owner ?? "unknown" },
    };
    const links = faultsOfLinks(effective);
    const sentMs = rotation && earliestMs(faults, rotation.receivedMs);
    const lastContactMs = life && sentMs !== undefined ? unansweredMs(life, reuse, sentMs) : undefined;
    if (isExplained(proven, killsOf(effective), kept)) continue;
    if (lastContactMs !== undefined && isExplained(proven, links, kept, lastContactMs)) continue;
    const fromMs = (rotation?.receivedMs ?? reuse.atMs) - beforeMs;
    const said = lives.flatMap(({ owner, daemon }) =>
      linesOf(daemon.output, grant, fromMs).map((line) => `${owner} ${line}`),
    );
    const history = [...log.historyOf(grant, fromMs), ...said, ...around(faults, fromMs, reuse.atMs)];
    unexplained.push(
      `a grant was lost without a reason: ${JSON.stringify(proven)}, durable: ${sender?.isDurable}\n${history.join("\n")}`,
    );
  }
  return unexplained;
}

function fencesOf({ daemon }: Life): string[] {
  return [...daemon.output.matchAll(/"fence":"(\d+)","message":"takes over the lead of the fleet"/g)].map(
    ([, fence = ""]) => fence,
  );
}

const killsOf = (faults: readonly Fault[]): Fault[] => faults.filter(({ kind }) => kind === "kill");
const faultsOfLinks = (faults: readonly Fault[]): Fault[] => faults.filter(({ kind }) => kind !== "kill");

/** When a request may have come at the earliest: what comes in a stall of the provider is read behind it. */
function earliestMs(faults: readonly Fault[], receivedMs: number): number {
  const met = faults.filter(
    ({ kind, fromMs, untilMs }) => kind === "stall" && fromMs < receivedMs && untilMs >= receivedMs - 50,
  );
  return Math.min(receivedMs, ...met.map(({ fromMs }) => fromMs));
}

/** When the sender said that its request was sent and not answered: before it sent the token again. */
function unansweredMs({ daemon }: Life, { grant, atMs }: Reuse, sentMs: number): number | undefined {
  const lines = linesOf(daemon.output, grant, sentMs);
  const time = timeOf(lines.find((line) => line.includes("no answer came back")) ?? "");
  return time !== undefined && time < atMs ? time : undefined;
}

function isSpooled({ daemon }: Life, grant: string, fromMs: number): boolean {
  return linesOf(daemon.output, grant, fromMs).some((line) => line.includes("put into the spool file"));
}

/** When a line of a log was written. */
function timeOf(line: string): number | undefined {
  const time = /"time":"([^"]+)"/.exec(line)?.[1];
  return time === undefined ? undefined : Date.parse(time);
}

/** Lines of a log that name a connection, from a moment on. */
function linesOf(output: string, connectionId: string, fromMs: number): string[] {
  return output.split("\n").filter((line) => {
    return line.includes(connectionId) && (timeOf(line) ?? 0) >= fromMs;
  });
}

function around(faults: readonly Fault[], fromMs: number, untilMs: number): string[] {
  return faults
    .filter((fault) => fault.untilMs >= fromMs && fault.fromMs <= untilMs)
    .map(
      (fault) =>
        `${new Date(fault.fromMs).toISOString()} ${fault.kind} of ${fault.owner} for ${fault.untilMs - fault.fromMs} ms`,
    );
}
