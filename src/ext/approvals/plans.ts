import { createHash, randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl, ConnectionNames, HeldRequest } from "../../domain/access/access.js";
import { type PlanRecord, PlanRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import type { Plan, PlannedRequest } from "../../gen/nexus/v1/approval_pb.js";
import { type AuditEvent, by, daemon, factsOf, type Principal } from "../../model/access/access.js";
import {
  counted,
  FailedPrecondition,
  InvalidArgument,
  type NexusError,
  NotFound,
  Unavailable,
} from "../../model/model.js";
import type { Changes, Clock, Log, Timer } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import { type ApproverAnswer, checkAnswer } from "./approver_answer.js";
import { isLinkOf, linkOf, wordsOf } from "./held_requests.js";
import { compiledTemplate, type PlanTemplate } from "./plan_template.js";

/** In database `meta`, as held requests are. */
const prefix = "plan/";
/** With those that were denied, which keep their agent from asking again. */
const maxPlans = { caller: 10, all: 100 };

/** A plan from when it is asked for until it ends. */
export interface PlanEntry {
  /** Its counts and its decision change; what is stored follows. */
  readonly record: PlanRecord;
  readonly templates: readonly PlanTemplate[];
  /** Whether the decision is durable. */
  isDecided: boolean;
  isEnded: boolean;
  /** Uses that are being stored. */
  pending: number;
  timer: Timer | undefined;
  /** Aborts when it no longer waits for an approver. */
  readonly over: AbortController;
}

/**
 * Plans of agents, which a person approves once. A use counts from the request that takes it, and is durable before that has a credential: a
 * daemon that is killed has counted what it let go, and perhaps what it was about to.
 */
export class Plans {
  readonly #entries = new Map<string, PlanEntry>();
  #isOpen = false;
  #isStopped = false;

  constructor(
    private readonly deps: {
      readonly store: Pick<Store, "commit" | "raw" | "epoch">;
      readonly access: AccessControl;
      readonly names: Pick<ConnectionNames, "findFor">;
      readonly changes: Changes;
      /** See `Approvals`. */
      readonly urlOf: (link: string) => string | undefined;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    deps.changes.on("principalEnded", (name) => {
      this.#endAll(({ caller }) => caller === name, "its caller has ended");
    });
    deps.changes.on("policyChanged", (digest) => {
      this.#endAll(({ policyDigest }) => policyDigest !== digest, otherPolicy);
    });
  }

  /** Reads what is stored, as that of `Approvals`. */
  start(): void {
    this.#isStopped = false;
    this.#all();
  }

  /** Forgets all; what is stored stays so. */
  stop(): void {
    this.#isStopped = true;
    for (const entry of this.#entries.values()) close(entry);
    this.#entries.clear();
    this.#isOpen = false;
  }

  /** Those that wait or are in force, the oldest first. */
  list(): PlanEntry[] {
    return this.#all().filter((entry) => isWaiting(entry) || isInForce(entry));
  }

  /** What a link leads to; undefined once it is decided or has ended. */
  linked(link: string): PlanEntry | undefined {
    const entry = this.#get(link.split(".", 1)[0] ?? "");
    return entry && isWaiting(entry) && isLinkOf(link, linkedOf(entry)) ? entry : undefined;
  }

  /** Of the page of a plan that waits; undefined where no browser reaches one. */
  urlOf(entry: PlanEntry): string | undefined {
    const link = this.linkOf(entry);
    return link === "" ? undefined : this.deps.urlOf(link);
  }

  /** Empty once it is decided. */
  linkOf(entry: PlanEntry): string {
    return isWaiting(entry) ? linkOf(linkedOf(entry)) : "";
  }

  /** One that this caller asked for. @throws NotFound */
  find(id: string, principal: Principal): PlanEntry {
    const entry = this.#get(id);
    if (!entry || !isOf(entry, principal)) throw new NotFound("request");
    return entry;
  }

  /** @throws InvalidArgument, NotFound, FailedPrecondition (TOO_MANY_PLANS), StoreFailed */
  async request(plan: Plan, principal: Principal): Promise<PlanEntry> {
    const templates = compiled(plan.requests);
    const connectionIds = plan.requests.map(({ provider: providerName, label }) => {
      const id = this.deps.names.findFor({ providerName, userId: plan.userId, label }, principal);
      if (id === undefined) throw new NotFound("connection");
      return id;
    });
    const record = this.#recordOf(plan, connectionIds, principal);
    const content = contentOf(record);
    const own = this.#all().filter((entry) => isOf(entry, principal));
    const known = own.find((entry) => contentOf(entry.record) === content);
    if (known) return known;
    if (own.length >= maxPlans.caller || this.#entries.size >= maxPlans.all)
      throw new FailedPrecondition(
        "TOO_MANY_PLANS",
        `at most ${maxPlans.caller} plans of a caller and ${maxPlans.all} in all are kept: wait until some end`,
      );
    const entry = this.#add(record, templates);
    try {
      await this.#put(entry, this.#event("plan.asked", entry, principal));
    } catch (error) {
      this.#forget(entry);
      throw error;
    }
    this.#notify(entry);
    return entry;
  }

  /** @returns whether there is such a plan @throws Aborted, PermissionDenied, InvalidArgument, NotFound; StoreFailed */
  async decide(answer: ApproverAnswer, approver: Principal): Promise<boolean> {
    const { id, approves, reason = "" } = answer;
    const entry = this.#get(id);
    if (!entry) return false;
    const { record } = entry;
    const asked = {
      digest: hex(record.digest),
      caller: record.caller,
      session: undefined,
      extents: [],
      approvedBy: [],
    };
    checkAnswer(answer, asked, approver);
    if (isInForce(entry) && !approves) {
      await this.#remove(entry, `taken back${reason && `: ${reason}`}`, approver);
      return true;
    }
    if (!isWaiting(entry)) throw new NotFound("request");
    // Before anything is awaited: a second answer, and the end of its time, find it decided.
    Object.assign(record, { approver: approver.name, approved: approves, reason });
    const type = approves ? "plan.approved" : "plan.denied";
    try {
      await this.#put(entry, this.#event(type, entry, approver, reason));
    } catch (error) {
      Object.assign(record, { approver: "", approved: false, reason: "" });
      throw error;
    }
    entry.isDecided = true;
    entry.over.abort();
    return true;
  }

  /**
   * Counts a request that a rule holds for the first plan that covers it.
   *
   * @returns undefined where none covers the request; else resolves with who approved that plan, with undefined if it has ended meanwhile, or
   * with Unavailable where the use could not be stored
   */
  use(held: HeldRequest): Promise<string | undefined | NexusError> | undefined {
    // A use that is being stored would be counted from what was stored before.
    if (this.#isStopped)
      return Promise.resolve(new Unavailable("the daemon stops: send the request again", 1_000));
    const { principal, connection, request, policyDigest } = held;
    const nowMs = this.deps.clock.nowMs();
    const live = this.#all().filter((entry) => {
      const { record } = entry;
      const isTimely = nowMs < Number(record.expiresAtMs);
      return isTimely && isInForce(entry) && isOf(entry, principal) && record.policyDigest === policyDigest;
    });
    if (live.length === 0) return undefined;
    const facts = factsOf(principal.name, connection, request, nowMs);
    for (const entry of live) {
      const { plan, used, connectionIds } = entry.record;
      const at = entry.templates.findIndex(
        ({ isPlain, covers }, index) =>
          connectionIds[index] === connection.connectionId &&
          isPlain === (request.isPlain === true) &&
          (used[index] ?? 0) < (plan?.requests[index]?.count ?? Number.POSITIVE_INFINITY) &&
          covers(facts),
      );
      if (at >= 0) return this.#count(entry, at, held);
    }
    return undefined;
  }

  async #count(entry: PlanEntry, at: number, held: HeldRequest): Promise<string | undefined | NexusError> {
    const { record } = entry;
    const add = (count: number): void => {
      record.used[at] = (record.used[at] ?? 0) + count;
    };
    // At once: of two requests for the last use, one finds it taken.
    add(1);
    entry.pending++;
    const { principal, connection, request, use } = held;
    const { connectionId, provider, userId } = connection;
    const about = { connectionId, providerId: provider.id, userId, ...use, approver: record.approver };
    const event = { timeMs: this.deps.clock.nowMs(), type: "plan.used", ...by(principal), ...about } as const;
    try {
      await this.#put(entry, { ...event, reason: `${record.id}: ${wordsOf(request)}` });
    } catch (error) {
      add(-1);
      return new Unavailable("the use of a plan cannot be stored: send the request again", 1_000, error);
    } finally {
      entry.pending--;
    }
    // Somebody ended it meanwhile: a person is asked.
    if (entry.isEnded) return undefined;
    const isUsedUp = record.plan?.requests.every(({ count }, index) => record.used[index] === count);
    if (isUsedUp && entry.pending === 0) this.#end(entry, "all of it was used");
    return record.approver;
  }

  #recordOf(plan: Plan, connectionIds: string[], principal: Principal): PlanRecord {
    const nowMs = this.deps.clock.nowMs();
    const lifeMs = plan.lifetime ? durationMs(plan.lifetime) : 0;
    const expiresAtMs = Math.min(nowMs + lifeMs, principal.expiresAtMs ?? Number.POSITIVE_INFINITY);
    const record = create(PlanRecordSchema, {
      ...{ plan, connectionIds, used: plan.requests.map(() => 0), epoch: this.deps.store.epoch },
      id: randomBytes(8).toString("hex"),
      ...{ askedAtMs: BigInt(nowMs), expiresAtMs: BigInt(expiresAtMs), linkKey: randomBytes(32) },
      ...{ caller: principal.name, agent: principal.onBehalfOf?.name ?? principal.name },
      policyDigest: this.deps.access.policy?.digest ?? "",
    });
    const whole = ["nexusd-plan-1", contentOf(record), `${record.expiresAtMs}`];
    record.digest = createHash("sha256").update(JSON.stringify(whole)).digest();
    return record;
  }

  /** All of them, the oldest first; what is stored is read first, once until `stop`. */
  #all(): PlanEntry[] {
    if (!this.#isOpen) {
      this.#isOpen = true;
      const range = { start: prefix, end: `${prefix}~` };
      const stored = this.deps.store.raw(({ meta }) => [...meta.getRange(range)]);
      const records = stored.map(({ value }) => fromBinary(PlanRecordSchema, value));
      records.sort((one, other) => Number(one.askedAtMs - other.askedAtMs));
      for (const record of records) this.#load(record);
    }
    return [...this.#entries.values()];
  }

  #load(record: PlanRecord): void {
    const { access, store } = this.deps;
    const requests = record.plan?.requests ?? [];
    const entry = this.#add(
      record,
      requests.map((planned) => {
        const template = compiledTemplate(planned, "");
        return Array.isArray(template) ? ofAnotherVersion : template;
      }),
    );
    entry.isDecided = record.approver !== "";
    const policy = access.policy?.digest;
    if (record.epoch !== store.epoch) this.#end(entry, "the store is another one");
    else if (Number(record.expiresAtMs) <= this.deps.clock.nowMs()) this.#expire(entry);
    // The file may not be read yet.
    else if (policy !== undefined && policy !== record.policyDigest) this.#end(entry, otherPolicy);
    else if (hasEnded(access, record.caller)) this.#end(entry, "its caller has ended");
  }

  #add(record: PlanRecord, templates: readonly PlanTemplate[]): PlanEntry {
    const entry: PlanEntry = {
      ...{ record, templates, isDecided: false, isEnded: false, pending: 0, timer: undefined },
      over: new AbortController(),
    };
    this.#entries.set(record.id, entry);
    const leftMs = Number(record.expiresAtMs) - this.deps.clock.nowMs();
    entry.timer = this.deps.clock.setTimer(Math.max(0, leftMs), () => this.#expire(entry));
    return entry;
  }

  #get(id: string): PlanEntry | undefined {
    this.#all();
    return this.#entries.get(id);
  }

  #endAll(which: (record: PlanRecord) => boolean, why: string): void {
    for (const entry of [...this.#entries.values()]) if (which(entry.record)) this.#end(entry, why);
  }

  #expire(entry: PlanEntry): void {
    this.#end(entry, isWaiting(entry) ? "nobody answered in time" : "its time is over");
  }

  /** It covers nothing from here on, whatever becomes of the commit. */
  #end(entry: PlanEntry, why: string): void {
    void this.#remove(entry, why, daemon).catch((error: unknown) =>
      this.deps.log.error({ err: error }, "the end of a plan could not be stored"),
    );
  }

  /** @throws StoreFailed; the plan has ended nevertheless, until the next start */
  async #remove(entry: PlanEntry, why: string, principal: Principal): Promise<void> {
    const { id, approver, approved } = entry.record;
    const event = this.#event("plan.ended", entry, principal, why);
    const wasDenied = approver !== "" && !approved;
    this.#forget(entry);
    await this.deps.store.commit((tx) => {
      tx.raw(({ meta }) => meta.removeSync(`${prefix}${id}`));
      if (!wasDenied) tx.appendAudit(event);
    });
  }

  #forget(entry: PlanEntry): void {
    entry.isEnded = true;
    if (this.#entries.get(entry.record.id) === entry) this.#entries.delete(entry.record.id);
    close(entry);
  }

  /** @throws StoreFailed */
  async #put(entry: PlanEntry, event: AuditEvent): Promise<void> {
    const { record } = entry;
    await this.deps.store.commit((tx) => {
      // Its end is stored before, or will be.
      if (entry.isEnded) return;
      tx.raw(({ meta }) => meta.putSync(`${prefix}${record.id}`, toBinary(PlanRecordSchema, record)));
      tx.appendAudit(event);
    });
  }

  #notify(entry: PlanEntry): void {
    const { caller, plan, connectionIds, expiresAtMs } = entry.record;
    const connection = this.deps.access.factsOf(connectionIds[0] ?? "");
    if (!connection || entry.isEnded) return;
    const urlOf = () => this.urlOf(entry);
    this.deps.changes.emit("requestHeld", {
      ...{ caller, userId: plan?.userId ?? "", connectionId: connection.connectionId },
      ...{ provider: connection.provider, expiresAtMs: Number(expiresAtMs), ended: entry.over.signal },
      get url() {
        return urlOf();
      },
    });
  }

  #event(type: AuditEvent["type"], { record }: PlanEntry, principal: Principal, why = ""): AuditEvent {
    const { id, caller, agent, plan, digest, approver } = record;
    const size = counted(plan?.requests.length ?? 0, "template");
    const reason = `${caller}: plan ${id} of ${size} (sha256:${hex(digest)})${why && `: ${why}`}`;
    const decided = approver !== "" && { approver };
    const userId = plan?.userId ?? "";
    return { timeMs: this.deps.clock.nowMs(), type, ...by(principal), agent, userId, reason, ...decided };
  }
}

/** A template that this version does not understand. */
const ofAnotherVersion: PlanTemplate = { isPlain: false, covers: () => false };

const otherPolicy = "the policy file has changed";

/** @throws InvalidArgument */
function compiled(requests: readonly PlannedRequest[]): PlanTemplate[] {
  const all = requests.map((planned, at) => compiledTemplate(planned, `plan.requests[${at}]`));
  const violations = all.flatMap((one) => (Array.isArray(one) ? one : []));
  if (violations.length > 0) throw new InvalidArgument(violations);
  return all as PlanTemplate[];
}

export function isWaiting({ record, isEnded }: PlanEntry): boolean {
  return record.approver === "" && !isEnded;
}

export function isInForce({ record, isDecided, isEnded }: PlanEntry): boolean {
  return isDecided && record.approved && !isEnded;
}

function isOf({ record }: PlanEntry, { name, onBehalfOf }: Principal): boolean {
  return record.caller === name && record.agent === (onBehalfOf?.name ?? name);
}

function hasEnded(access: AccessControl, name: string): boolean {
  try {
    access.refuseEnded({ name, kind: "key" });
    return false;
  } catch {
    return true;
  }
}

function close({ timer, over }: PlanEntry): void {
  timer?.cancel();
  over.abort();
}

function linkedOf({ record: { id, digest, linkKey } }: PlanEntry) {
  return { id, digest: hex(digest), linkKey };
}

/** All that the person says yes to but when it ends: JSON keeps its parts apart. */
function contentOf({ caller, agent, policyDigest, plan, connectionIds }: PlanRecord): string {
  const requests = plan?.requests.map(({ provider, label, method, url, body, count }, at) => {
    const fields = Object.entries(body).sort(([one], [other]) => (one < other ? -1 : 1));
    return [connectionIds[at], provider, label, method, url, fields, count ?? null];
  });
  const lifetimeMs = plan?.lifetime ? durationMs(plan.lifetime) : 0;
  return JSON.stringify([caller, agent, policyDigest, plan?.userId, plan?.reason, lifetimeMs, requests]);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
