import { randomBytes } from "node:crypto";
import type { AccessControl, AskApprovers, HeldRequest } from "../../domain/access/access.js";
import {
  type AuditEvent,
  by,
  type DescribedRequest,
  daemon,
  defaultHoldMs,
  type Extent,
  type Principal,
} from "../../model/access/access.js";
import { NexusError, NotFound, PermissionDenied, Unavailable } from "../../model/model.js";
import { BoundedMap, type Changes, type Clock, type Log } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import { type ApproverAnswer, checkAnswer } from "./approver_answer.js";
import {
  aboutRecord,
  digestOf,
  type HeldEntry,
  HeldRequests,
  isLinkOf,
  linkOf,
  recordOf,
} from "./held_requests.js";
import type { Plans } from "./plans.js";

const hourMs = 3_600_000;
/** How long "for this session" counts at most. */
const longestSessionMs = 12 * hourMs;
/** How long the yes to a request counts for sending it again, where the API refused its credential. */
const repeatMs = 60_000;
const maxStanding = 1_000;

/** A request that waits, as an approver sees it. */
export interface WaitingApproval {
  readonly id: string;
  readonly digest: string;
  readonly held: HeldRequest;
  readonly sinceMs: number;
  readonly expiresAtMs: number;
  /** Whether its caller has left: the answer counts when that one sends the request again. */
  readonly isLeft: boolean;
  /** Who said yes, where the rule asks several. */
  readonly approvedBy: readonly string[];
}

/**
 * Requests that wait for a person. Each is stored without its content, and its decision too, until its caller has taken that: a decision is
 * out of the store before the request that it is for has a credential, so it is used once at most, and a restart loses none.
 */
export class Approvals {
  readonly #requests: HeldRequests;
  readonly #standing: StandingApprovals;
  #isStopped = false;

  constructor(
    private readonly deps: {
      readonly store: Pick<Store, "commit" | "raw" | "epoch">;
      readonly access: AccessControl;
      readonly changes: Changes;
      /** What people approved beforehand. */
      readonly plans: Pick<Plans, "use">;
      /** Of the page that a link leads to; undefined where no browser reaches one. */
      readonly urlOf: (link: string) => string | undefined;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    this.#requests = new HeldRequests(deps.store, (entry) => this.#load(entry));
    this.#standing = new StandingApprovals(deps);
    deps.changes.on("principalEnded", (name) => {
      // What has come since the start follows the permissions of its caller.
      const ended = this.#requests.loaded.filter(({ record, release }) => record.caller === name && !release);
      for (const entry of ended) this.#end(entry, new Unavailable("the caller of a held request has ended"));
      for (const entry of this.#requests.loaded)
        if (entry.approvedBy.includes(name)) this.#withdraw(entry, name);
    });
  }

  /** Those that an approver can read and decide, the oldest first. */
  list(): WaitingApproval[] {
    return this.#requests.all().flatMap((entry) => waitingOf(entry) ?? []);
  }

  /** What a link leads to; undefined once that is answered or has ended, and for a link that no daemon of this store made. */
  linked(link: string): WaitingApproval | undefined {
    const entry = this.#requests.get(link.split(".", 1)[0] ?? "");
    return entry && isLinkOf(link, entry.record) ? waitingOf(entry) : undefined;
  }

  /** Of the page of a request; empty once it waits no more. */
  linkOf({ id }: Pick<WaitingApproval, "id">): string {
    const entry = this.#requests.get(id);
    return entry ? linkOf(entry.record) : "";
  }

  /** The request of this caller that waits, with the URL of its page. @throws NotFound, also where there is no page */
  pageOf(
    request: DescribedRequest,
    principal: Principal,
  ): { readonly url: string; readonly waiting: WaitingApproval } {
    const waiting = this.list().find(
      ({ held, digest }) =>
        held.principal.name === principal.name && digestOf({ ...held, principal, request }) === digest,
    );
    const entry = waiting && this.#requests.get(waiting.id);
    const url = entry && this.deps.urlOf(linkOf(entry.record));
    if (!waiting || url === undefined) throw new NotFound("request");
    return { url, waiting };
  }

  /** Resolves with the refusal, or with who agreed. @throws Unauthenticated, PermissionDenied */
  async ask(held: HeldRequest): ReturnType<AskApprovers> {
    // What is being stored would be read as it was.
    if (this.#isStopped) return stopped();
    const digest = digestOf(held);
    const approver = this.#standing.approverOf(held, digest);
    if (approver !== undefined) return { approver };
    const admitted = this.deps.access.admit(held.principal, "token.read");
    if (held.signal.aborted) return left();
    const find = () => this.#requests.find(held, digest, this.deps.clock.nowMs());
    // What a person said of this very request goes before. One person approves a plan.
    const isAsked = find()?.isDecided === true || approversOf(held) > 1;
    const using = isAsked ? undefined : this.deps.plans.use(held);
    const planned = using && (await using);
    if (planned instanceof NexusError) return planned;
    if (planned !== undefined) {
      this.#standing.put(held, digest, undefined, planned);
      return { approver: planned };
    }
    const known = find();
    if (!known && this.#requests.isCrowdedFor(held))
      return ended("too many requests wait for a person already");
    const entry = known ?? this.#begin(held, digest);
    if (entry.isDecided) return await this.#take(entry, held);
    const woken = this.#wait(entry, held, admitted);
    if (!known) void this.#requests.put(entry).catch((error: unknown) => this.#lose(entry, error));
    const end = await woken;
    if (end !== "decided") return end;
    return await this.#take(entry, held);
  }

  /**
   * @returns how many more approvers it waits for
   * @throws NotFound, Aborted, PermissionDenied, InvalidArgument; StoreFailed when the answer cannot be recorded
   */
  async decide(answer: ApproverAnswer, approver: Principal): Promise<number> {
    const { id, approves, extent, reason = "" } = answer;
    const entry = this.#requests.get(id);
    const { held } = (entry && waitingOf(entry)) ?? {};
    if (!entry || !held) throw new NotFound("request");
    const { digest, caller, session } = entry.record;
    const { approvedBy } = entry;
    checkAnswer(answer, { digest, caller, session, extents: held.rule.extent, approvedBy }, approver);
    if (entry.storing !== undefined) {
      await entry.storing;
      return await this.decide(answer, approver);
    }
    const approvers = approves ? [...approvedBy, approver.name] : [approver.name];
    const missing = approves ? approversOf(held) - approvers.length : 0;
    if (missing > 0) {
      await this.#approveInPart(entry, approvers, approver);
      return missing;
    }
    // Taken before anything is awaited: a second answer, and the end of the time, find it decided.
    entry.decision = { approver: approvers.join(", "), approves, reason };
    const type = approves ? "approval.given" : "approval.refused";
    try {
      const event = this.#event(type, entry, approver, { extent, reason });
      await this.#requests.put(entry, event);
    } catch (error) {
      entry.decision = undefined;
      this.#wake(entry, new Unavailable("the answer of a person cannot be recorded"));
      throw error;
    }
    // Its caller has ended meanwhile.
    if (!this.#requests.has(entry)) return 0;
    entry.isDecided = true;
    entry.held = undefined;
    entry.over.abort();
    if (approves && extent !== undefined)
      this.#standing.put(held, entry.record.digest, extent, approver.name);
    // It waits until it has taken the decision: nobody else can.
    if (entry.waiter) entry.waiter("decided");
    else if (this.deps.clock.nowMs() >= entry.record.expiresAtMs) this.#end(entry, late());
    return 0;
  }

  /** The yes of one of several. @throws StoreFailed; NotFound where the request has ended meanwhile */
  async #approveInPart(entry: HeldEntry, approvedBy: readonly string[], approver: Principal): Promise<void> {
    const { approvedBy: before } = entry;
    // Taken before anything is awaited, as a decision is; the next answer waits.
    entry.approvedBy = approvedBy;
    const stored = this.#requests.put(entry, this.#event("approval.given", entry, approver));
    const ended = (): void => {
      entry.storing = undefined;
    };
    entry.storing = stored.then(ended, () => {
      entry.approvedBy = before;
      ended();
    });
    await stored;
    if (!this.#requests.has(entry)) throw new NotFound("request");
  }

  /** One of several approvers may approve no more: what they approved, another one has to. */
  #withdraw(entry: HeldEntry, approver: string): void {
    entry.approvedBy = entry.approvedBy.filter((name) => name !== approver);
    void this.#requests
      .put(entry)
      .catch((error: unknown) =>
        this.deps.log.error({ err: error }, "the end of an approval could not be stored"),
      );
  }

  /** Ends what waits: the daemon stops, or leads its fleet no more. What is stored stays so. */
  stop(): void {
    this.#isStopped = true;
    for (const entry of this.#requests.clear()) {
      this.#close(entry);
      this.#wake(entry, stopped());
    }
  }

  /** Reads what is stored. A daemon that is alone or leads does so when it starts; a spoke, whose store is its own, when it is first asked. */
  start(): void {
    this.#isStopped = false;
    this.#requests.all();
  }

  #load(entry: HeldEntry): void {
    const leftMs = entry.record.expiresAtMs - this.deps.clock.nowMs();
    if (entry.record.epoch !== this.deps.store.epoch) this.#end(entry, late());
    else if (leftMs <= 0) this.#expire(entry);
    else entry.timer = this.deps.clock.setTimer(leftMs, () => this.#expire(entry));
  }

  #begin(held: HeldRequest, digest: string): HeldEntry {
    const { rule, principal } = held;
    const sinceMs = this.deps.clock.nowMs();
    const holdMs = rule.holdMs ?? defaultHoldMs;
    const expiresAtMs = Math.min(sinceMs + holdMs, principal.expiresAtMs ?? Number.POSITIVE_INFINITY);
    // A command takes a word that begins with a hyphen for an option.
    const id = randomBytes(8).toString("hex");
    const own = { id, epoch: this.deps.store.epoch, digest, sinceMs, expiresAtMs, linkKey: randomBytes(32) };
    const entry = this.#requests.add(recordOf(held, own));
    entry.timer = this.deps.clock.setTimer(holdMs, () => this.#expire(entry));
    return entry;
  }

  /** Until there is a decision, the caller leaves or ends, or its time is over. */
  async #wait(
    entry: HeldEntry,
    held: HeldRequest,
    admitted: ReturnType<AccessControl["admit"]>,
  ): Promise<NexusError | "decided"> {
    const { signal, principal } = held;
    const woken = new Promise<NexusError | "decided">((wake) => {
      entry.waiter = wake;
    });
    const onAbort = (): void => this.#wake(entry, left());
    signal.addEventListener("abort", onAbort);
    if (!entry.held) {
      entry.held = held;
      const end = (refusal: NexusError): void => this.#end(entry, refusal);
      const release = this.deps.access.hold(principal, "token.read", admitted, end, true);
      if (this.#requests.has(entry)) entry.release = release;
      else release();
      this.#notify(entry);
    }
    try {
      const end = await woken;
      // A decision that came as the caller left is for when it comes again.
      if (end !== "decided" || !signal.aborted) return end;
      this.#wake(entry, end);
      return left();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Nobody waits for it any more. */
  #wake(entry: HeldEntry, end: NexusError | "decided"): void {
    const { waiter } = entry;
    entry.waiter = undefined;
    waiter?.(end);
  }

  /** The decision, for one caller: it is out of the store first. @throws Unavailable when that fails; then it is there for the next */
  async #take(entry: HeldEntry, held: HeldRequest): ReturnType<AskApprovers> {
    const { record, decision } = entry;
    if (!decision || entry.isTaken || !this.#requests.has(entry))
      return new Unavailable("another request took this decision: send the request again", 1_000);
    entry.isTaken = true;
    entry.waiter = undefined;
    try {
      await this.#requests.unstore(entry);
    } catch (error) {
      entry.isTaken = false;
      throw new Unavailable(
        "the answer of a person cannot be taken from the store: send it again",
        1_000,
        error,
      );
    }
    this.#requests.forget(entry);
    this.#close(entry);
    if (entry.isEnded) return new Unavailable("the caller of a held request has ended");
    if (!decision.approves) return deniedFor(decision.reason);
    this.#standing.put(held, record.digest, undefined, decision.approver);
    return { approver: decision.approver };
  }

  #notify(entry: HeldEntry): void {
    const { record, held, over } = entry;
    if (!held || !waitingOf(entry)) return;
    const urlOf = () => this.deps.urlOf(linkOf(record));
    this.deps.changes.emit("requestHeld", {
      ...{ caller: record.caller, ...held.connection, expiresAtMs: record.expiresAtMs, ended: over.signal },
      // Made where somebody is told of it.
      get url() {
        return urlOf();
      },
    });
  }

  /** Its time is over. One that is decided is left to who takes the decision. */
  #expire(entry: HeldEntry): void {
    const { decision, waiter, isTaken, isDecided } = entry;
    if (decision) {
      if (isDecided && !waiter && !isTaken) this.#end(entry, late());
      return;
    }
    this.#requests.forget(entry);
    this.#close(entry);
    const wake = (): void => this.#wake(entry, late());
    void this.#requests.unstore(entry, this.#event("approval.expired", entry, daemon)).then(wake, wake);
  }

  /** Nobody is to decide it any more, and no decision of it counts. */
  #end(entry: HeldEntry, refusal: NexusError): void {
    entry.isEnded = true;
    this.#requests.forget(entry);
    this.#close(entry);
    this.#wake(entry, refusal);
    void this.#requests
      .unstore(entry)
      .catch((error: unknown) =>
        this.deps.log.error({ err: error }, "the end of a held request could not be stored"),
      );
  }

  /** It could not be stored. */
  #lose(entry: HeldEntry, error: unknown): void {
    if (!this.#requests.has(entry) || entry.decision) return;
    this.#end(entry, new Unavailable("the held request cannot be stored: send it again", 1_000, error));
  }

  #close(entry: HeldEntry): void {
    entry.timer?.cancel();
    entry.release?.();
    entry.over.abort();
  }

  #event(
    type: AuditEvent["type"],
    entry: HeldEntry,
    approver: Principal,
    { extent, reason: given = "" }: Pick<Partial<ApproverAnswer>, "extent" | "reason"> = {},
  ): AuditEvent {
    const { caller, words, ruleLine, digest } = entry.record;
    const until = extent === undefined ? "" : ` for ${extent === "hour" ? "an hour" : "its session"}`;
    const share = type === "approval.given" ? shareOf(entry) : "";
    const reason = `${caller}${until}: ${words} (line ${ruleLine}${share}, sha256:${digest})${given && `: ${given}`}`;
    const answered = approver !== daemon && { approver: approver.name };
    const timeMs = this.deps.clock.nowMs();
    return { timeMs, type, ...by(approver), ...aboutRecord(entry.record), reason, ...answered };
  }
}

/** Undefined where nobody can decide it: it is decided, or its content is not there. */
function waitingOf({ record, held, decision, waiter, approvedBy }: HeldEntry): WaitingApproval | undefined {
  if (!held || decision) return undefined;
  const { id, digest, sinceMs, expiresAtMs } = record;
  return { id, digest, held, sinceMs, expiresAtMs, isLeft: waiter === undefined, approvedBy };
}

function approversOf({ rule }: HeldRequest): number {
  return rule.approvers ?? 1;
}

/** Which of several approvals this one is, for the record: `, 1 of 2`. */
function shareOf({ held, approvedBy, decision }: HeldEntry): string {
  const all = held ? approversOf(held) : 1;
  // The last one is in the decision alone.
  return all > 1 ? `, ${decision ? all : approvedBy.length} of ${all}` : "";
}

function deniedFor(reason: string): PermissionDenied {
  const why = reason === "" ? "" : ` The reviewer says: ${reason}`;
  return new PermissionDenied(`A reviewer denied this request. Do not retry it.${why}`);
}

function ended(why: string): PermissionDenied {
  return new PermissionDenied(`this request needs the yes of a person: ${why}`);
}

function stopped(): Unavailable {
  return new Unavailable("the daemon that held this request stops holding it: send it again", 1_000);
}

function left(): Unavailable {
  return new Unavailable("the caller of a held request has left");
}

function late(): PermissionDenied {
  return ended("nobody answered in time");
}

interface Standing {
  /** By the wall clock, which people go by, and by the monotonic one, which nobody sets back. */
  readonly untilMs: number;
  readonly untilMonotonicMs: number;
  readonly approver: string;
  readonly caller: string;
}

/** Each yes that counts for more than one request, by caller, session, and rule, until it lapses or its caller ends. It is in memory alone. */
class StandingApprovals {
  readonly #standing = new BoundedMap<string, Standing>(maxStanding);

  constructor(private readonly deps: { readonly clock: Clock; readonly changes: Changes }) {
    deps.changes.on("principalEnded", (name) => {
      for (const [key, { caller }] of this.#standing.entries())
        if (caller === name) this.#standing.delete(key);
    });
  }

  /** Who said the yes that counts for this request; what counts for its repetition alone counts no more afterwards. */
  approverOf(held: HeldRequest, digest: string): string | undefined {
    const once = onceKey(held, digest);
    const keys = held.request.repeats ? [once, ...keysOf(held)] : keysOf(held);
    const standing = keys.flatMap((key) => this.#standing.get(key) ?? []);
    this.#standing.delete(once);
    const { clock } = this.deps;
    const [nowMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
    const counts = standing.find(
      ({ untilMs, untilMonotonicMs }) => nowMs < untilMs && monotonicMs < untilMonotonicMs,
    );
    return counts?.approver;
  }

  /** @param extent undefined for the repetition of this request */
  put(held: HeldRequest, digest: string, extent: Extent | undefined, approver: string): void {
    const [ofCaller, ofSession] = keysOf(held);
    const forTime =
      extent === "hour" ? ([ofCaller, hourMs] as const) : ([ofSession, longestSessionMs] as const);
    const [key, lastsMs] = extent === undefined ? ([onceKey(held, digest), repeatMs] as const) : forTime;
    const { clock } = this.deps;
    const until = { untilMs: clock.nowMs() + lastsMs, untilMonotonicMs: clock.monotonicMs() + lastsMs };
    if (key !== undefined) this.#standing.set(key, { ...until, approver, caller: held.principal.name });
  }
}

function onceKey({ policyDigest, rule }: HeldRequest, digest: string): string {
  return JSON.stringify([digest, policyDigest, rule.line]);
}

/** By which a yes for longer is found: for the caller, and for its session where it names one. */
function keysOf({ principal, connection, request: { session }, rule, policyDigest }: HeldRequest): string[] {
  const common = [principal.name, connection.connectionId, policyDigest, rule.line];
  const keys = session === undefined ? [common] : [common, [...common, session]];
  return keys.map((key) => JSON.stringify(key));
}
