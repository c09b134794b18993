import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { AccessControl, AskApprovers, HeldRequest } from "../../domain/access/access.js";
import {
  type AuditEvent,
  by,
  type DescribedRequest,
  daemon,
  type Extent,
  type Principal,
} from "../../model/access/access.js";
import { Aborted, InvalidArgument, NotFound, PermissionDenied, Unavailable } from "../../model/model.js";
import { BoundedMap, type Changes, type Clock } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";

/** How long a person has. */
const holdMs = 180_000;
const hourMs = 3_600_000;
/** How long "for this session" counts at most. */
const longestSessionMs = 12 * hourMs;
/** Requests that wait: who sends more gets a refusal, so that nobody says yes to one among thousands. */
const maxHeld = { session: 5, caller: 20, all: 100 };
/** How long the yes to a request counts for sending it again, where the API refused its credential. */
const repeatMs = 60_000;
/** A yes for longer than once, remembered. */
const maxStanding = 1_000;

/** A request that waits. */
export interface WaitingApproval {
  readonly id: string;
  readonly digest: string;
  readonly held: HeldRequest;
  readonly sinceMs: number;
  readonly expiresAtMs: number;
  /** Ends the wait: an approver lets the request go. */
  end(answer: Awaited<ReturnType<AskApprovers>>): void;
}

export interface ApproverAnswer {
  readonly id: string;
  /** Of what the approver read, hexadecimal. */
  readonly digest: string;
  readonly approves: boolean;
  readonly extent: Extent | undefined;
  /** Of a denial, for the agent; empty for none. */
  readonly reason?: string;
}

/** A yes for more than one request, until its caller ends. */
interface Standing {
  /** By the wall clock, which people go by, and by the monotonic one, which nobody sets back. */
  readonly untilMs: number;
  readonly untilMonotonicMs: number;
  readonly approver: string;
  readonly caller: string;
}

/** Requests that wait for a person. They are in memory alone: a restart ends them, and an answer finds nothing to send. */
export class Approvals {
  readonly #waiting = new Map<string, WaitingApproval>();
  /** Signs links. Nothing that waits outlives it. */
  readonly #linkKey = randomBytes(32);
  /** Until when a yes counts, by caller, session and rule. */
  readonly #standing = new BoundedMap<string, Standing>(maxStanding);

  constructor(
    private readonly deps: {
      readonly store: Pick<Store, "record">;
      readonly access: AccessControl;
      readonly changes: Changes;
      /** Of the page that a link leads to; undefined where no browser reaches one. */
      readonly urlOf: (link: string) => string | undefined;
      readonly clock: Clock;
    },
  ) {
    deps.changes.on("principalEnded", (name) => {
      for (const [key, { caller }] of this.#standing.entries())
        if (caller === name) this.#standing.delete(key);
    });
  }

  /** The oldest first. */
  list(): WaitingApproval[] {
    return [...this.#waiting.values()];
  }

  /** What a link leads to; undefined once that is answered or has ended, and for a link that this daemon did not make. */
  linked(link: string): WaitingApproval | undefined {
    const waiting = this.#waiting.get(link.split(".", 1)[0] ?? "");
    if (!waiting) return undefined;
    const [given, own] = [link, this.#linkOf(waiting)].map((text) =>
      createHash("sha256").update(text).digest(),
    );
    return given && own && timingSafeEqual(given, own) ? waiting : undefined;
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
    const url = waiting && this.deps.urlOf(this.#linkOf(waiting));
    if (!waiting || url === undefined) throw new NotFound("request");
    return { url, waiting };
  }

  #linkOf({ id, digest }: WaitingApproval): string {
    const signature = createHmac("sha256", this.#linkKey).update(`${id}\n${digest}`).digest().subarray(0, 24);
    return `${id}.${signature.toString("base64url")}`;
  }

  /** Resolves with the refusal, or with who agreed. Nothing is left of it afterwards. @throws Unauthenticated, PermissionDenied */
  async ask(held: HeldRequest): ReturnType<AskApprovers> {
    const nowMs = this.deps.clock.nowMs();
    const digest = digestOf(held);
    const once = this.#keyOf(held, digest);
    const keys = held.request.repeats ? [once, ...this.#keysOf(held)] : this.#keysOf(held);
    const standing = keys.flatMap((key) => this.#standing.get(key) ?? []);
    this.#standing.delete(once);
    const monotonicMs = this.deps.clock.monotonicMs();
    const counts = standing.find(
      ({ untilMs, untilMonotonicMs }) => nowMs < untilMs && monotonicMs < untilMonotonicMs,
    );
    if (counts) return { approver: counts.approver };
    const { principal } = held;
    const admitted = this.deps.access.admit(principal, "token.read");
    const crowded = this.#crowded(held);
    if (crowded !== undefined) return ended(crowded);
    // A command takes a word that begins with a hyphen for an option.
    const id = randomBytes(8).toString("hex");
    let resolve: WaitingApproval["end"] = () => undefined;
    const promise = new Promise<Awaited<ReturnType<AskApprovers>>>((settle) => {
      resolve = (answer) => {
        // At once: a yes that comes before the caller is answered finds nothing.
        this.#waiting.delete(id);
        settle(answer);
      };
    });
    const waiting = {
      id,
      digest,
      held,
      sinceMs: nowMs,
      expiresAtMs: Math.min(nowMs + holdMs, principal.expiresAtMs ?? Number.POSITIVE_INFINITY),
      end: resolve,
    };
    this.#waiting.set(id, waiting);
    const timer = this.deps.clock.setTimer(holdMs, () => {
      if (!this.#waiting.delete(id)) return;
      const late = ended("nobody answered in time");
      void this.#record("approval.expired", waiting, daemon).then(
        () => resolve(late),
        () => resolve(late),
      );
    });
    const onAbort = (): void => resolve(new Unavailable("the caller of a held request has left"));
    const release = this.deps.access.hold(principal, "token.read", admitted, resolve, true);
    held.signal.addEventListener("abort", onAbort);
    if (held.signal.aborted) onAbort();
    const over = new AbortController();
    this.#notify(waiting, over.signal);
    try {
      return await promise;
    } finally {
      over.abort();
      timer.cancel();
      release();
      held.signal.removeEventListener("abort", onAbort);
    }
  }

  #notify(waiting: WaitingApproval, ended: AbortSignal): void {
    const { held, expiresAtMs } = waiting;
    const urlOf = () => this.deps.urlOf(this.#linkOf(waiting));
    const about = {
      ...{ caller: held.principal.name, ...held.connection, expiresAtMs, ended },
      // Made where somebody is told of it.
      get url() {
        return urlOf();
      },
    };
    if (this.#waiting.has(waiting.id)) this.deps.changes.emit("requestHeld", about);
  }

  /** @throws NotFound, Aborted, PermissionDenied, InvalidArgument; Unavailable when the answer cannot be recorded */
  async decide(
    { id, digest, approves, extent, reason = "" }: ApproverAnswer,
    approver: Principal,
  ): Promise<void> {
    const waiting = this.#waiting.get(id);
    if (!waiting) throw new NotFound("request");
    const { held } = waiting;
    if (approver.name === held.principal.name && approver.kind !== "owner")
      throw new PermissionDenied("who sent a request cannot approve it");
    if (digest !== waiting.digest) throw new Aborted("this is not the request that waits: read it again");
    if (extent !== undefined && !held.rule.extent.includes(extent))
      throw new InvalidArgument([
        { field: "extent", description: "the rule lets a yes count for this once" },
      ]);
    if (extent === "session" && held.request.session === undefined)
      throw new InvalidArgument([{ field: "extent", description: "the request names no session" }]);
    if (approves && reason !== "")
      throw new InvalidArgument([{ field: "reason", description: "is for a denial: an approval has none" }]);
    // Taken before anything is awaited: a second answer, and the end of the time, find it gone.
    this.#waiting.delete(id);
    try {
      const type = approves ? "approval.given" : "approval.refused";
      await this.#record(type, waiting, approver, { extent, reason });
    } catch (error) {
      waiting.end(new Unavailable("the answer of a person cannot be recorded"));
      throw error;
    }
    if (approves) this.#stand(waiting, extent, approver.name);
    waiting.end(approves ? { approver: approver.name } : deniedFor(reason));
  }

  /** Ends all that waits: the daemon stops, or leads its fleet no more. */
  stop(): void {
    for (const { end } of this.list())
      end(new Unavailable("the daemon that held this request stops holding it: send it again", 1_000));
  }

  /** The words of a limit that is reached. */
  #crowded({ principal, request: { session } }: HeldRequest): string | undefined {
    const all = this.list();
    const ofCaller = all.filter(({ held }) => held.principal.name === principal.name);
    const ofSession = ofCaller.filter(({ held }) => held.request.session === session);
    const isFull =
      all.length >= maxHeld.all || ofCaller.length >= maxHeld.caller || ofSession.length >= maxHeld.session;
    return isFull ? "too many requests wait for a person already" : undefined;
  }

  #stand({ held, digest }: WaitingApproval, extent: Extent | undefined, approver: string): void {
    const [ofCaller, ofSession] = this.#keysOf(held);
    const forTime =
      extent === "hour" ? ([ofCaller, hourMs] as const) : ([ofSession, longestSessionMs] as const);
    const [key, lastsMs] = extent === undefined ? ([this.#keyOf(held, digest), repeatMs] as const) : forTime;
    const { clock } = this.deps;
    const until = { untilMs: clock.nowMs() + lastsMs, untilMonotonicMs: clock.monotonicMs() + lastsMs };
    if (key !== undefined) this.#standing.set(key, { ...until, approver, caller: held.principal.name });
  }

  #keyOf({ policyDigest, rule }: HeldRequest, digest: string): string {
    return JSON.stringify([digest, policyDigest, rule.line]);
  }

  /** By which a yes for longer is found: for the caller, and for its session where it names one. */
  #keysOf({ principal, connection, request: { session }, rule, policyDigest }: HeldRequest): string[] {
    const common = [principal.name, connection.connectionId, policyDigest, rule.line];
    const keys = session === undefined ? [common] : [common, [...common, session]];
    return keys.map((key) => JSON.stringify(key));
  }

  async #record(
    type: AuditEvent["type"],
    waiting: WaitingApproval,
    approver: Principal,
    { extent, reason: given = "" }: Pick<Partial<ApproverAnswer>, "extent" | "reason"> = {},
  ): Promise<void> {
    const { connection, principal, request, rule } = waiting.held;
    const [path = ""] = (request.target ?? "").split("?");
    const what = `${request.method} ${request.host}${path.slice(0, 200)}`;
    const until = extent === undefined ? "" : ` for ${extent === "hour" ? "an hour" : "its session"}`;
    const reason = `${principal.name}${until}: ${what} (line ${rule.line}, sha256:${waiting.digest})${given && `: ${given}`}`;
    const { connectionId, provider, userId } = connection;
    const about = { connectionId, providerId: provider.id, userId, reason };
    const answered = approver !== daemon && { approver: approver.name };
    const use = { ...waiting.held.use, agent: principal.onBehalfOf?.name ?? principal.name, ...answered };
    const event = { timeMs: this.deps.clock.nowMs(), type, ...by(approver), ...about, ...use };
    await this.deps.store.record((tx) => tx.appendAudit(event));
  }
}

function deniedFor(reason: string): PermissionDenied {
  const why = reason === "" ? "" : ` The reviewer says: ${reason}`;
  return new PermissionDenied(`A reviewer denied this request. Do not retry it.${why}`);
}

function ended(why: string): PermissionDenied {
  return new PermissionDenied(`this request needs the yes of a person: ${why}`);
}

export function schemeOf({ isPlain }: DescribedRequest): string {
  return isPlain ? "http" : "https";
}

/**
 * SHA-256 of all that an approver says yes to, hexadecimal. Two requests that differ in any of it have two digests, and one has always the
 * same: JSON keeps its parts apart, whatever is in them, and headers are sorted.
 */
export function digestOf({
  principal,
  connection,
  request,
}: Omit<HeldRequest, "rule" | "policyDigest" | "signal" | "use">): string {
  const headers = [...(request.headers ?? [])].sort(([one], [other]) => (one < other ? -1 : 1));
  const { method = null, host = null, target = null, body, session = null } = request;
  const content = body ? [body.size, body.digest] : null;
  const whole = [
    "nexusd-request-1",
    method,
    schemeOf(request),
    host,
    target,
    request.headers ? headers : null,
    content,
  ];
  const text = JSON.stringify([...whole, principal.name, session, connection.connectionId]);
  return createHash("sha256").update(text).digest("hex");
}
