import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ApiKeys, LabelingRequest, SessionLabel, SessionMemory } from "../../domain/access/access.js";
import { SessionLabelRecordSchema, SessionRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import {
  type AuditEvent,
  agentOf,
  by,
  isLive,
  keyPrefix,
  keyPrincipalName,
} from "../../model/access/access.js";
import { PermissionDenied, Unavailable } from "../../model/model.js";
import type { Changes, Clock, Log } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import { sessionTable } from "./tables.js";

/** A session ends when its agent has sent nothing for so long. */
const silenceMs = 12 * 3_600_000;
/** Its last request is stored this coarsely, so that few requests wait for the disk; it never ends earlier for that. */
const seenToMs = 3_600_000;
/** Of some 20 KB each at most. */
const maxSessions = 10_000;
const maxLabels = 64;
/** Keys that were made with keys. */
const maxGenerations = 10;

interface LabeledSession {
  readonly agent: string;
  readonly sinceMs: number;
  seenMs: number;
  readonly labels: SessionLabel[];
  /** Of `labels`, which conditions read. */
  readonly names: Set<string>;
  /** How many of `labels` are durable. */
  stored: number;
  /** Of labels that are not. */
  readonly events: AuditEvent[];
  /** Set while a later `seenMs` is being stored. */
  isTouched?: boolean;
}

const none: ReadonlySet<string> = new Set();

/**
 * What the requests of sessions did. A session is all that one agent does until it is silent for long, or its last key has ended: its key, all
 * of its grants, and every run of it share it, and a key that is made while it is under way has its labels, too. A label counts from the call that sets it, and is durable
 * before the request that set it has a credential.
 */
export class SessionLabels implements SessionMemory {
  readonly #sessions = new Map<string, LabeledSession>();
  /** Whether `#sessions` has all of them. A hub that follows reads each in its copy. */
  #isOpen = false;

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly keys: Pick<ApiKeys, "find" | "list">;
      readonly changes: Changes;
      readonly clock: Clock;
      readonly log: Log;
      /** See `SessionMemory`. */
      readonly refusal: () => string | undefined;
    },
  ) {
    deps.changes.on("principalEnded", (name) => this.#ended(name));
  }

  /** Reads what is stored: a daemon that is alone or begins to lead goes on from there. */
  start(): void {
    this.#sessions.clear();
    const records = this.deps.store.raw((databases) => [...sessionTable.of(databases).getRange({})]);
    for (const { value } of records) {
      const session = decoded(value);
      this.#sessions.set(session.agent, session);
    }
    this.#isOpen = true;
  }

  get refusal(): string | undefined {
    return this.deps.refusal();
  }

  /** Sessions that have a label, at a daemon that is alone or leads. */
  get size(): number {
    return this.#sessions.size;
  }

  recall(principalName: string): ReadonlySet<string> {
    const sessions = this.#sessionsOf(principalName);
    if (this.#isOpen) for (const session of sessions) this.#touch(session);
    const [first = undefined, ...more] = sessions;
    if (more.length === 0) return first?.names ?? none;
    return new Set(sessions.flatMap(({ names }) => [...names]));
  }

  labelsOf(principalName: string): readonly SessionLabel[] {
    return this.#sessionsOf(principalName).flatMap(({ labels }) => labels);
  }

  add({ principal, connection, request, labels, use }: LabelingRequest): Promise<void> | undefined {
    // What was set before would be lost.
    if (!this.#isOpen)
      return Promise.reject(
        new Unavailable("the labels of sessions were not read yet: nothing was sent", 1_000),
      );
    const agent = agentOf(principal.name);
    const nowMs = this.deps.clock.nowMs();
    const before = this.#sessions.get(agent);
    const known = before && this.#isOver(before, nowMs) ? undefined : before;
    const added = labels.filter((label) => !known?.names.has(label));
    if (known && added.length === 0)
      return known.stored < known.labels.length ? this.#keep(known) : undefined;
    if (!known && !this.#hasPlace(nowMs))
      return refused(
        `at most ${maxSessions} sessions have labels at a time: end the keys of agents that are done`,
      );
    if (added.length + (known?.labels.length ?? 0) > maxLabels)
      return refused(
        `a session has at most ${maxLabels} labels: end the keys of the agent, and make another one`,
      );
    const session = known ?? this.#begin(agent, nowMs);
    const [path = ""] = (request.target ?? "").split("?");
    const words = `${request.method} ${request.host}${path.slice(0, 200)}`;
    const set = added.map((label) => ({
      ...{ label, setAtMs: nowMs, caller: principal.name, request: words },
      ...{ rule: use.rule ?? "", session: use.session ?? "" },
    }));
    // At once: what is judged from here on goes by it, whatever becomes of the commit.
    session.labels.push(...set);
    for (const label of added) session.names.add(label);
    session.seenMs = nowMs;
    const { connectionId, provider, userId } = connection;
    const about = { connectionId, providerId: provider.id, userId, ...use };
    for (const { label } of set) {
      const event = { timeMs: nowMs, type: "session.labeled", ...by(principal), ...about } as const;
      session.events.push({ ...event, reason: `${label}: ${words}` });
    }
    return this.#keep(session);
  }

  async #keep(session: LabeledSession): Promise<void> {
    let written = 0;
    let events: AuditEvent[] = [];
    try {
      await this.deps.store.commit((tx) => {
        written = session.labels.length;
        events = session.events.splice(0);
        tx.raw((databases) => sessionTable.of(databases).putSync(keyOf(session.agent), encoded(session)));
        for (const event of events) tx.appendAudit(event);
      });
    } catch (error) {
      // With the next request that sets one of them.
      session.events.unshift(...events);
      throw new Unavailable("what this session did cannot be recorded: send the request again", 1_000, error);
    }
    session.stored = Math.max(session.stored, written);
  }

  #hasPlace(nowMs: number): boolean {
    if (this.#sessions.size >= maxSessions)
      for (const each of [...this.#sessions.values()]) if (this.#isOver(each, nowMs)) this.#forget(each);
    return this.#sessions.size < maxSessions;
  }

  #begin(agent: string, nowMs: number): LabeledSession {
    const session: LabeledSession = {
      ...{ agent, sinceMs: nowMs, seenMs: nowMs, labels: [], names: new Set() },
      ...{ stored: 0, events: [] },
    };
    this.#sessions.set(agent, session);
    return session;
  }

  /** That of the agent, and those under which its key was made. */
  #sessionsOf(principalName: string): LabeledSession[] {
    const nowMs = this.deps.clock.nowMs();
    const found = new Set<LabeledSession>();
    let name = principalName;
    let madeMs = Number.POSITIVE_INFINITY;
    for (let generation = 0; generation < maxGenerations; generation++) {
      const session = this.#find(agentOf(name));
      if (session && madeMs >= session.sinceMs && !this.#isOver(session, nowMs)) found.add(session);
      const key = name.startsWith(keyPrefix) && this.deps.keys.find(name.slice(keyPrefix.length));
      if (!key) break;
      name = key.createdBy;
      madeMs = key.createdAtMs;
    }
    return [...found];
  }

  #find(agent: string): LabeledSession | undefined {
    if (this.#isOpen) return this.#sessions.get(agent);
    const stored = this.deps.store.raw((databases) => sessionTable.of(databases).getBinary(keyOf(agent)));
    return stored && decoded(stored);
  }

  #isOver({ seenMs }: LabeledSession, nowMs: number): boolean {
    return nowMs - seenMs >= silenceMs + seenToMs;
  }

  #touch(session: LabeledSession): void {
    const nowMs = this.deps.clock.nowMs();
    if (nowMs - session.seenMs < seenToMs) return;
    const before = session.seenMs;
    session.seenMs = nowMs;
    if (!session.isTouched) void this.#storeSeen(session, before);
  }

  /** A store that does not take it is asked again at the next request; the session ends no later for that. */
  async #storeSeen(session: LabeledSession, storedMs: number): Promise<void> {
    session.isTouched = true;
    try {
      // It can be seen again meanwhile, and its agent can lose its last key.
      while (storedMs < session.seenMs && this.#sessions.get(session.agent) === session) {
        const { seenMs } = session;
        await this.deps.store.commit((tx) =>
          tx.raw((databases) => sessionTable.of(databases).putSync(keyOf(session.agent), encoded(session))),
        );
        storedMs = seenMs;
      }
    } catch (error) {
      session.seenMs = storedMs;
      this.deps.log.error({ err: error }, "the use of a session with labels could not be stored");
    } finally {
      session.isTouched = false;
    }
  }

  /** A key was revoked or has lapsed: with the last one of an agent, its session ends. */
  #ended(principalName: string): void {
    const agent = agentOf(principalName);
    const session = this.#sessions.get(agent);
    if (!session || !principalName.startsWith(keyPrefix) || !agent.startsWith(keyPrefix)) return;
    const nowMs = this.deps.clock.nowMs();
    const { keys } = this.deps;
    const all = keys.list({ afterName: undefined, limit: Number.MAX_SAFE_INTEGER, includeRevoked: false });
    const isAnyLeft = all.some((key) => isLive(key, nowMs) && agentOf(keyPrincipalName(key.name)) === agent);
    if (!isAnyLeft) this.#forget(session);
  }

  #forget({ agent }: LabeledSession): void {
    this.#sessions.delete(agent);
    void this.deps.store
      .commit((tx) =>
        tx.raw((databases) => {
          // Another session of this name can have begun since.
          if (!this.#sessions.has(agent)) sessionTable.of(databases).removeSync(keyOf(agent));
        }),
      )
      .catch((error: unknown) =>
        this.deps.log.error({ err: error }, "the end of a session could not be stored"),
      );
  }
}

function refused(words: string): Promise<never> {
  return Promise.reject(new PermissionDenied(words));
}

function keyOf(agent: string): Buffer {
  return createHash("sha256").update(agent).digest();
}

function decoded(bytes: Uint8Array): LabeledSession {
  const { agent, sinceMs, seenMs, labels } = fromBinary(SessionRecordSchema, bytes);
  return {
    ...{ agent, sinceMs: Number(sinceMs), seenMs: Number(seenMs) },
    ...{ stored: labels.length, events: [] },
    labels: labels.map(({ $typeName: _, setAtMs, ...label }) => ({ ...label, setAtMs: Number(setAtMs) })),
    names: new Set(labels.map(({ label }) => label)),
  };
}

function encoded({ agent, sinceMs, seenMs, labels }: LabeledSession): Uint8Array {
  const record = create(SessionRecordSchema, {
    ...{ agent, sinceMs: BigInt(sinceMs), seenMs: BigInt(seenMs) },
    labels: labels.map(({ setAtMs, ...label }) =>
      create(SessionLabelRecordSchema, { ...label, setAtMs: BigInt(setAtMs) }),
    ),
  });
  return toBinary(SessionRecordSchema, record);
}
