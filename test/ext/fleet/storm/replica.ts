import { createHash, randomUUID } from "node:crypto";
import type {
  CommitLog,
  LogBatch,
  RawWrite,
  ReplicaPosition,
} from "../../../../src/ext/fleet/replication/log.js";

/** What the hubs of a storm keep for one grant. */
export interface GrantRecord {
  readonly revision: number;
  readonly token: string;
  /** A request may be under way. */
  readonly attempt?: { readonly id: string; readonly owner: string };
}

export interface Change {
  readonly grant: string;
  readonly record: GrantRecord;
  /** Of the audit log. */
  readonly event: string;
}

/** Another process leads, or the log is another one. */
export class Deposed extends Error {}

/** The whole store of a hub, in memory: grants, and an audit log that is a chain. */
export class Replica {
  readonly entries = new Map<string, string>();
  readonly grants = new Map<string, GrantRecord>();
  #position: ReplicaPosition = { position: -1n, batchId: "" };
  #events = 0;
  #hash = "";

  get position(): ReplicaPosition {
    return this.#position;
  }

  /** The entries of a first copy. */
  load(writes: readonly RawWrite[]): void {
    for (const write of writes) this.#put(write);
  }

  begin(position: ReplicaPosition): void {
    this.#position = position;
  }

  /** @throws Error when it is not the next batch, or breaks the chain */
  apply(batch: LogBatch): void {
    if (batch.after !== this.#position.position) {
      throw new Error(`batch ${batch.position} came after ${this.#position.position}`);
    }
    for (const write of batch.writes) {
      if (write.database === "audit") this.#check(write);
      this.#put(write);
    }
    this.#position = { position: batch.position, batchId: batch.id };
  }

  /** The writes of changes that are made one after the other. */
  writesOf(changes: readonly Change[]): RawWrite[] {
    const last = new Map<string, RawWrite>();
    let [events, hash] = [this.#events, this.#hash];
    for (const { grant, record, event } of changes) {
      last.set(grant, {
        database: "grants",
        key: Buffer.from(grant),
        value: Buffer.from(JSON.stringify(record)),
      });
      hash = chained(hash, event);
      last.set(`#${++events}`, {
        database: "audit",
        key: Buffer.from(String(events).padStart(12, "0")),
        value: Buffer.from(JSON.stringify({ event, hash })),
      });
    }
    return [...last.values()];
  }

  /** Of all entries. */
  digest(): string {
    const hash = createHash("sha256");
    for (const [key, value] of [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1)))
      hash.update(`${key}=${value}\n`);
    return hash.digest("hex");
  }

  /** How many events the audit log has. @throws Error when its chain is broken */
  verifyChain(): number {
    let hash = "";
    let count = 0;
    for (const [key, text] of [...this.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!key.startsWith("audit:")) continue;
      const { event, hash: next } = JSON.parse(text) as { event: string; hash: string };
      if (Number(key.slice(6)) !== ++count || next !== chained(hash, event))
        throw new Error(`the chain breaks at ${key}`);
      hash = next;
    }
    return count;
  }

  #check({ key, value }: RawWrite): void {
    const { event, hash } = JSON.parse(Buffer.from(value ?? []).toString()) as {
      event: string;
      hash: string;
    };
    if (Number(Buffer.from(key).toString()) !== this.#events + 1 || hash !== chained(this.#hash, event)) {
      throw new Error(`the chain breaks at event ${this.#events + 1}`);
    }
  }

  #put({ database, key, value }: RawWrite): void {
    const name = Buffer.from(key).toString();
    const text = value && Buffer.from(value).toString();
    if (text === undefined) this.entries.delete(`${database}:${name}`);
    else this.entries.set(`${database}:${name}`, text);
    if (database === "grants" && text !== undefined) this.grants.set(name, JSON.parse(text) as GrantRecord);
    if (database === "audit" && text !== undefined && Number(name) > this.#events) {
      this.#events = Number(name);
      this.#hash = (JSON.parse(text) as { hash: string }).hash;
    }
  }
}

function chained(hash: string, event: string): string {
  return createHash("sha256").update(`${hash}\n${event}`).digest("hex");
}

interface Asked {
  readonly change: (grant: (id: string) => GrantRecord | undefined) => readonly Change[];
  readonly resolve: (made: readonly Change[]) => void;
  readonly reject: (error: Error) => void;
}

/** The commits of a leader: what is asked for while a batch is under way goes into the next one. */
export class Commits {
  #asked: Asked[] = [];
  #running: Promise<void> | undefined;

  constructor(
    private readonly replica: Replica,
    private readonly log: CommitLog,
    private readonly onAcknowledged: (batch: LogBatch, changes: readonly Change[]) => void,
  ) {}

  commit(change: Asked["change"]): Promise<readonly Change[]> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ change, resolve, reject });
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    while (this.#asked.length > 0) {
      const asked = this.#asked.splice(0, 64);
      const seen = new Map<string, GrantRecord>();
      const made = asked.map(({ change }) => {
        const changes = change((id) => seen.get(id) ?? this.replica.grants.get(id));
        for (const { grant, record } of changes) seen.set(grant, record);
        return changes;
      });
      const { position } = this.replica.position;
      const writes = this.replica.writesOf(made.flat());
      const batch: LogBatch = { id: randomUUID(), after: position, position: position + 1n, writes };
      try {
        const verdict = await this.log.append(batch);
        if (verdict !== "ok") throw new Deposed(verdict);
        this.replica.apply(batch);
        this.onAcknowledged(batch, made.flat());
        for (const [index, { resolve }] of asked.entries()) resolve(made[index] ?? []);
      } catch (error) {
        for (const { reject } of [...asked, ...this.#asked.splice(0)]) reject(error as Error);
        return;
      }
    }
  }
}
