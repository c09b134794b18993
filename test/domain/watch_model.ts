import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { SeenIds } from "../../src/domain/access/seen_ids.js";
import { ReadAudit } from "../../src/domain/reading/read_audit.js";
import { Subscribers } from "../../src/domain/reading/watch/subscribers.js";
import { TokenWatch } from "../../src/domain/reading/watch/token_watch.js";
import type { WatchEvent, WatchPosition } from "../../src/domain/reading/watch/watch_event.js";
import type { Principal } from "../../src/model/access/principal.js";
import { Changes } from "../../src/runtime/changes.js";
import type { StreamSink, StreamSource } from "../../src/runtime/stream_sink.js";
import type { Store } from "../../src/store/store.js";
import type { Transaction } from "../../src/store/transaction.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { aConnection, nowMs, seesAll } from "../samples.js";
import { silentLog } from "../silent_log.js";
import { openStore } from "../store/temporary_store.js";
import { storeReader } from "./reading/store_reader.js";

export type WatchStep =
  | { readonly do: "change" | "delete"; readonly ids: readonly number[] }
  | { readonly do: "open"; readonly at: number; readonly ids: readonly number[]; readonly user: number }
  | { readonly do: "leave" | "choke" | "read"; readonly at: number }
  | { readonly do: "policy"; readonly hidden: readonly number[] }
  | { readonly do: "wait"; readonly byMs: number }
  | { readonly do: "turn" | "microtask" | "failed commit" };

const idOf = (index: number): string => `c${index}`;
const userOf = (id: string): string => `user ${Number(id.slice(1)) % 2}`;

/** What is true of a connection, as far as it was announced. */
interface Fact {
  readonly changedAt: bigint;
  /** Of its credential; undefined when it was deleted. */
  readonly revision: bigint | undefined;
}

/** A client that keeps what it is told, and says when that cannot be. */
class Client implements StreamSink<WatchEvent> {
  readonly held = new Map<string, bigint>();
  position: WatchPosition | undefined;
  source: StreamSource | undefined;
  connectionIds: ReadonlySet<string> | undefined;
  userId: string | undefined;
  isChoked = false;
  hasRoom = true;
  reportedReason: WatchEvent["kind"] | undefined;
  readonly #world: WatchWorld;

  constructor(
    world: WatchWorld,
    readonly principal: Principal,
  ) {
    this.#world = world;
  }

  wants(id: string): boolean {
    const isNamed = this.connectionIds === undefined || this.connectionIds.has(id);
    return isNamed && (this.userId === undefined || this.userId === userOf(id)) && this.sees(id);
  }

  sees(id: string): boolean {
    return this.principal.name !== "key:restricted" || !this.#world.hidden.has(id);
  }

  send(event: WatchEvent): boolean {
    this.#world.judge(() => this.#take(event));
    this.hasRoom = !this.isChoked;
    return this.hasRoom;
  }

  end(): void {
    this.#world.judge(() => expect(this.source, "ends once").toBeDefined());
    this.source = undefined;
  }

  #take(event: WatchEvent): void {
    expect(this.source, `${event.kind} after the end`).toBeDefined();
    if (event.kind !== "drain") expect(this.hasRoom, `${event.kind} without room`).toBe(true);
    this.reportedReason = event.kind;
    if (event.kind === "state") this.#hold(event.view.connection.id, event.view.token?.revision ?? 0n);
    else if (event.kind === "removed") this.held.delete(event.connectionId);
    else if (event.kind === "reset") this.held.clear();
    else if (event.kind === "bookmark") this.#mark(event.position);
  }

  #hold(id: string, revision: bigint): void {
    expect(this.wants(id), `${id} is its to see`).toBe(true);
    expect(this.#world.onRecord).toContain(`${this.principal.name} ${id} ${revision}`);
    expect(revision).toBeGreaterThanOrEqual(this.held.get(id) ?? 0n);
    this.held.set(id, revision);
  }

  #mark(position: WatchPosition): void {
    for (const [id, { changedAt, revision }] of this.#world.facts) {
      if (!this.wants(id) || changedAt > position.revision || this.#world.isChanging(id)) continue;
      expect(this.held.get(id)).toBe(revision);
    }
    this.position = position;
  }

  read(): void {
    this.isChoked = false;
    if (this.hasRoom) return;
    this.hasRoom = true;
    this.source?.resume();
  }

  leave(): void {
    this.source?.cancel();
    this.source = undefined;
  }
}

/** The watch on a real store, and clients of two principals, one of them restricted by a policy that changes. */
export class WatchWorld {
  readonly facts = new Map<string, Fact>();
  readonly onRecord = new Set<string>();
  hidden: ReadonlySet<string> = new Set();
  readonly #violations: unknown[] = [];
  readonly #clients: readonly Client[];
  readonly #store: Store = openStore();
  readonly #clock = new ManualClock(nowMs);
  readonly #subscribers = new Subscribers({ changes: new Changes() });
  readonly #watch: TokenWatch;
  #policy = 0;
  #revision = 0n;
  #failsNext = false;
  /** What each commit wrote that is not announced yet. */
  readonly #written: Map<string, bigint | undefined>[] = [];

  constructor() {
    const store = this.#store;
    const reader = storeReader(store);
    const record = (change: (tx: Transaction) => void): Promise<void> => this.#record(change);
    const readAudit = new ReadAudit({ store: { record }, clock: this.#clock, log: silentLog, maxEntries: 4 });
    const seen = new SeenIds({ store, changes: new Changes() });
    const shared = { store, subscribers: this.#subscribers, clock: this.#clock, seen };
    this.#watch = new TokenWatch({ ...shared, reader, readAudit, random: () => 0.5 });
    store.onCommitted((changes) => {
      // Not read from the store: what is in it may be newer, and not announced yet.
      const written = this.#written.shift();
      for (const { connectionId, revision: changedAt } of changes) {
        this.facts.set(connectionId, { changedAt, revision: written?.get(connectionId) });
      }
      this.#subscribers.announce(changes);
    });
    this.#clients = ["owner", "owner", "key:restricted", "key:restricted"].map(
      (name) => new Client(this, { name, kind: "key", origin: "unix" }),
    );
  }

  async run(script: readonly WatchStep[]): Promise<void> {
    for (const step of script) await this.#step(step);
    await this.#settle();
    for (const client of this.#clients) this.#check(client);
    this.#clock.advance(10_000);
    for (const { source, reportedReason } of this.#clients)
      if (source) expect(reportedReason).toBe("bookmark");
    await this.#subscribers.drain();
    expect(this.#clients.filter(({ source }) => source)).toEqual([]);
    expect([this.#subscribers.size, this.#clock.pending]).toEqual([0, 0]);
    await this.#store.close();
    for (const violation of this.#violations) throw violation;
  }

  /** Whether something newer of it can be read, and is not announced yet. */
  isChanging(id: string): boolean {
    return this.#written.some((written) => written.has(id));
  }

  /** What a client finds wrong is no error of the stream that told it. */
  judge(look: () => void): void {
    try {
      look();
    } catch (violation) {
      this.#violations.push(violation);
    }
  }

  async #step(step: WatchStep): Promise<void> {
    switch (step.do) {
      case "change":
      case "delete":
        return this.#change(step.do, step.ids.map(idOf));
      case "open":
        return this.#open(this.#clients[step.at], step);
      case "leave":
        return this.#clients[step.at]?.leave();
      case "choke":
        return void Object.assign(this.#clients[step.at] ?? {}, { isChoked: true });
      case "read":
        return this.#clients[step.at]?.read();
      case "policy":
        // As the guard does: the streams of whom it changes end.
        for (const client of this.#clients) if (client.principal.name === "key:restricted") client.leave();
        this.hidden = new Set(step.hidden.map(idOf));
        this.#policy++;
        return;
      case "wait":
        return this.#clock.advance(step.byMs);
      case "failed commit":
        this.#failsNext = true;
        return;
      case "microtask":
        return await Promise.resolve();
      case "turn":
        return void (await turn());
    }
  }

  #change(what: "change" | "delete", ids: readonly string[]): void {
    void this.#store.commit((tx) => {
      const written = new Map<string, bigint | undefined>();
      for (const id of ids) {
        if (what === "change") {
          const credentialRevision = ++this.#revision;
          tx.putConnection(aConnection({ id, userId: userOf(id), status: "active", credentialRevision }));
          written.set(id, credentialRevision);
        } else if (tx.getConnection(id)) {
          tx.deleteConnection(id);
          written.set(id, undefined);
        }
      }
      if (written.size > 0) this.#written.push(written);
    });
  }

  #open(client: Client | undefined, { ids, user }: Extract<WatchStep, { do: "open" }>): void {
    if (!client || client.source) return;
    const connectionIds = ids.length === 0 ? undefined : new Set(ids.map(idOf));
    const userId = user < 2 ? `user ${user}` : undefined;
    const isSame =
      userId === client.userId &&
      String([...(connectionIds ?? [])]) === String([...(client.connectionIds ?? [])]);
    // Another question has another answer: its position is of no use, nor is what was held.
    const position = isSame ? client.position : undefined;
    if (!position) client.held.clear();
    Object.assign(client, { connectionIds, userId, position, hasRoom: true });
    const isRestricted = client.principal.name === "key:restricted";
    const view = {
      ...seesAll,
      isRestricted,
      seesConnection: ({ id }: { id: string }) => client.sees(id),
      seesChange: ({ connectionId }: { connectionId: string }) => client.sees(connectionId),
      epochOf: (epoch: string) => (isRestricted ? `${epoch}.${this.#policy}` : epoch),
    };
    const { principal } = client;
    const options = { connectionIds, userId, position, bookmarkIntervalMs: 5_000, principal, view };
    client.source = this.#watch.open(options, client);
  }

  #record<T>(change: (tx: Transaction) => T): Promise<T> {
    if (this.#failsNext) {
      this.#failsNext = false;
      return Promise.reject(new Error("disk"));
    }
    const reads: string[] = [];
    const recording = (tx: Transaction) => ({
      getConnection: (id: string) => tx.getConnection(id),
      appendAudit: (event: Parameters<Transaction["appendAudit"]>[0]) => {
        reads.push(`${event.principal} ${event.connectionId} ${event.revision}`);
        tx.appendAudit(event);
      },
    });
    return this.#store
      .commit((tx) => change(recording(tx) as unknown as Transaction))
      .then((result) => {
        for (const read of reads) this.onRecord.add(read);
        return result;
      });
  }

  /** Until everything that is under way has arrived. */
  async #settle(): Promise<void> {
    for (const client of this.#clients) client.read();
    for (let round = 0; round < 8; round++) {
      await this.#store.commit(() => undefined);
      await turn();
    }
  }

  #check(client: Client): void {
    if (!client.source) return;
    const facts = [...this.facts].filter(([id, { revision }]) => revision !== undefined && client.wants(id));
    const expected = new Map(facts.map(([id, { revision }]) => [id, revision]));
    expect(new Map([...client.held].sort())).toEqual(new Map([...expected].sort()));
  }
}
