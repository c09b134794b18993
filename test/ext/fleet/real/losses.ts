import type { Fault, Servers } from "../storm/faults.js";
import { earliestMs, explanationOf } from "../storm/judge.js";
import type { CountingProvider, Loss } from "../storm/provider.js";
import type { Life } from "./real_hub.js";
import { RefreshLog } from "./refresh_log.js";

/** A request is on its way so long, over a slow link. */
const onItsWayMs = 500;
/** A hub that lost the lead waits for what it has sent, and ends. */
const abandonMs = 4_000;
/** A lease, with a pause. */
const heldUpMs = 20_000;
/** So much before a request its history begins. */
const beforeMs = 3_000;

/**
 * The proofs of a storm of real hubs: the log says in whose reign a request was sent, the hubs' own logs which process that was, what it
 * put into its spool file, and how it ended.
 *
 * @returns how many losses each fault explains, and for each grant that was lost without a reason what happened to it
 */
export async function judgeLosses({
  losses,
  requests,
  faults,
  lives,
  servers,
  seen,
}: {
  readonly losses: readonly Loss[];
  /** All that came to the provider. */
  readonly requests: CountingProvider["requests"];
  readonly faults: readonly Fault[];
  readonly lives: readonly Life[];
  readonly servers: Servers;
  /** Access tokens that a stream brought. */
  readonly seen: ReadonlySet<string>;
}): Promise<{ explained: Record<string, number>; unexplained: string[] }> {
  const log = await RefreshLog.read(servers.primary);
  const reigns = new Map(lives.flatMap((life) => fencesOf(life).map((fence) => [fence, life] as const)));
  const killed = new Set(lives.filter(({ code }) => code === "SIGKILL").map(({ owner }) => owner));
  // A signal that met a process which had ended by itself explains nothing.
  const effective = faults.filter(({ kind, owner }) => kind !== "kill" || killed.has(owner));
  const explained: Record<string, number> = {};
  const unexplained: string[] = [];
  for (const { grant, atMs, rotation } of losses) {
    const sent = rotation && log.senderOf(grant, rotation.receivedMs);
    const life = sent && reigns.get(sent.fence);
    const isKept =
      !rotation ||
      seen.has(rotation.attempt) ||
      sent?.isDurable === true ||
      (life !== undefined && isSpooled(life, grant, rotation.receivedMs));
    const sender = life && {
      owner: life.owner,
      unansweredMs: rotation && unansweredMs(life, grant, rotation.receivedMs, atMs),
    };
    const explanation = isKept
      ? givenUp(log.attemptsOf(grant, rotation?.receivedMs ?? 0), grant, reigns, effective)
      : explanationOf(rotation, sender, effective);
    if (explanation !== undefined) {
      explained[explanation] = (explained[explanation] ?? 0) + 1;
      continue;
    }
    const fromMs = (rotation?.receivedMs ?? atMs) - beforeMs;
    const said = lives.flatMap(({ owner, daemon }) =>
      linesOf(daemon.output, grant, fromMs).map((line) => `${owner} ${line}`),
    );
    const history = [...log.historyOf(grant, fromMs), ...said, ...around(faults, fromMs, atMs)];
    unexplained.push(
      `a grant was lost without a reason: ${JSON.stringify({ grant, atMs, rotation, sender })}, kept: ${isKept}\n${history.join("\n")}`,
    );
  }
  return { explained, unexplained: [...unexplained, ...sentTooLate(log, requests, faults)] };
}

/** Requests of a hub that led no more: another one had written by then. Each with what happened around it. */
export function sentTooLate(
  log: Pick<RefreshLog, "senderOf" | "endOf" | "historyOf">,
  requests: CountingProvider["requests"],
  faults: readonly Fault[],
): string[] {
  return requests.flatMap(({ grant, receivedMs }) => {
    const fence = log.senderOf(grant, receivedMs)?.fence;
    const lateMs = fence === undefined ? 0 : earliestMs(faults, receivedMs) - log.endOf(fence);
    if (lateMs <= onItsWayMs) return [];
    const words = `a request of ${grant} was sent ${Math.round(lateMs)} ms after another hub led`;
    const fromMs = receivedMs - heldUpMs;
    return [[words, ...log.historyOf(grant, fromMs), ...around(faults, fromMs, receivedMs)].join("\n")];
  });
}

function fencesOf({ daemon }: Life): string[] {
  return [...daemon.output.matchAll(/"fence":"(\d+)","message":"takes over the lead of the fleet"/g)].map(
    ([, fence = ""]) => fence,
  );
}

/** When the sender said that its request was sent and not answered: before it sent the token again. */
function unansweredMs(
  { daemon }: Life,
  grant: string,
  receivedMs: number,
  untilMs: number,
): number | undefined {
  // Sent in a stall of the provider, it is read behind it.
  const lines = linesOf(daemon.output, grant, receivedMs - beforeMs);
  const times = lines.flatMap((line) => (line.includes("no answer came back") ? (timeOf(line) ?? []) : []));
  return times.findLast((time) => time < untilMs) ?? endedMs(daemon.output, receivedMs);
}

/** Until when a hub that lost the lead waited for what it had sent. */
function endedMs(output: string, fromMs: number): number | undefined {
  const line = output.split("\n").find((each) => each.includes("this hub lost the lead"));
  const atMs = line === undefined ? undefined : timeOf(line);
  return atMs !== undefined && atMs > fromMs ? atMs + abandonMs : undefined;
}

/**
 * What explains that the hubs gave up a grant whose newest token they have: neither of two requests for the next one was answered, and
 * none came to the provider. Each was sent into a harmed link, or its sender ended meanwhile.
 */
function givenUp(
  attempts: readonly { readonly fence: string; readonly atMs: number }[],
  grant: string,
  reigns: ReadonlyMap<string, Life>,
  faults: readonly Fault[],
): string | undefined {
  if (attempts.length < 2) return undefined;
  const explanations = attempts.slice(-2).map(({ fence, atMs }) => {
    const life = reigns.get(fence);
    if (life === undefined) return undefined;
    // Without a connection there is no mark.
    if (
      faults.some(({ kind, fromMs, untilMs }) => kind === "full provider" && fromMs < atMs && untilMs > atMs)
    )
      return undefined;
    // One that was held up before it could send, and led no more behind it.
    const isOver = (endedMs(life.daemon.output, atMs) ?? Number.POSITIVE_INFINITY) < atMs + heldUpMs;
    if (isOver) return "lost lead";
    // A link that was harmed before the request was sent lets none of it through.
    const met = faults.map((fault) =>
      fault.fromMs < atMs && fault.untilMs > atMs ? { ...fault, fromMs: atMs } : fault,
    );
    const saidMs = unansweredMs(life, grant, atMs, Number.POSITIVE_INFINITY) ?? givenUpMs(life, grant, atMs);
    const sender = { owner: life.owner, unansweredMs: saidMs };
    return explanationOf({ grant, attempt: "", receivedMs: atMs }, sender, met);
  });
  return explanations.includes(undefined) ? undefined : explanations.at(-1);
}

function givenUpMs({ daemon }: Life, grant: string, fromMs: number): number | undefined {
  const line = linesOf(daemon.output, grant, fromMs).find((each) => each.includes("the grant is lost"));
  return line === undefined ? undefined : timeOf(line);
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
