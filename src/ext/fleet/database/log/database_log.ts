import { type Backoff, delay, fullJitterMs, type Log } from "../../../../runtime/runtime.js";
import { encodeWrites } from "../../replication/batch_codec.js";
import type { AppendVerdict, CommitLog, LogBatch } from "../../replication/log.js";
import { Channel } from "../connection/channel.js";
import type { Connector } from "../connection/connector.js";
import { FleetUnreachable } from "../connection/fleet_error.js";
import type { CommitWait } from "./commit_wait.js";

const retry: Backoff = { baseMs: 50, maxMs: 1_000 };

const commit = "SELECT nexus.commit_1($1, $2, $3, $4, $5, $6) AS verdict";

export interface DatabaseLogOptions {
  readonly connector: Connector;
  readonly log: Log;
  readonly owner: string;
  readonly fence: bigint;
  readonly epoch: string;
}

/** The log of a leader. A batch whose answer is lost is asked again, on a new connection, until there is a verdict. */
export class DatabaseLog implements CommitLog {
  readonly #channel: Channel;
  readonly #closing = new AbortController();
  #waitingSinceMs: number | undefined;
  #failure: unknown;

  constructor(private readonly options: DatabaseLogOptions) {
    this.#channel = new Channel(options.connector, "commit");
  }

  /** For how long a batch has had no verdict after a first attempt failed; 0 while the database answers. */
  get waitingMs(): number {
    return this.#waitingSinceMs === undefined
      ? 0
      : this.options.connector.clock.monotonicMs() - this.#waitingSinceMs;
  }

  /** What a batch waits for; undefined while the database answers. */
  get wait(): CommitWait | undefined {
    return this.#waitingSinceMs === undefined
      ? undefined
      : { waitedMs: this.waitingMs, error: this.#failure };
  }

  /** @throws FleetUnreachable when the log was closed, and nothing else: whether the batch is durable is then unknown */
  async append(batch: LogBatch): Promise<AppendVerdict> {
    const { clock } = this.options.connector;
    const writes = Buffer.from(encodeWrites(batch.writes));
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      try {
        const verdict = await this.#ask(batch, writes);
        if (failures > 0) this.options.log.info({ failures }, "the fleet's database commits again");
        this.#waitingSinceMs = undefined;
        return verdict;
      } catch (error) {
        this.#waitingSinceMs ??= clock.monotonicMs();
        this.#failure = error;
        if (failures++ === 0) {
          this.options.log.warn({ error }, "the fleet's database did not commit; the batch is asked again");
        }
        await delay(clock, fullJitterMs(retry, failures, Math.random()), this.#closing.signal);
      }
    }
    throw new FleetUnreachable("the log of the fleet was closed");
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#channel.close();
  }

  async #ask({ id, after }: LogBatch, writes: Buffer): Promise<AppendVerdict> {
    const { owner, fence, epoch } = this.options;
    const session = await this.#channel.session();
    const { warnings } = session;
    const [row] = await this.#channel.query<{ verdict: AppendVerdict }>(commit, [
      owner,
      String(fence),
      epoch,
      id,
      String(after),
      writes,
    ]);
    // The wait for the standbys was cut: the server calls that a warning, and the batch committed.
    if (session.warnings > warnings) {
      session.close();
      throw new FleetUnreachable("the database did not wait for its standbys");
    }
    if (row === undefined) throw new FleetUnreachable("the database answered without a verdict");
    return row.verdict;
  }
}
