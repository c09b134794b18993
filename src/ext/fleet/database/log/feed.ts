import { type Backoff, delay, fullJitterMs, type Log } from "../../../../runtime/runtime.js";
import type { LogBatch, ReplicaPosition } from "../../replication/log.js";
import type { Connector } from "../connection/connector.js";
import { FleetDiverged, FleetOutrun, FleetRefused } from "../connection/fleet_error.js";
import type { DatabaseSession } from "../connection/session.js";
import { readBatches, readLogState } from "./batches.js";
import { judgeHistory } from "./history.js";

/** Notifications are hints, and one may be lost: so often it is looked without one, give or take a fifth. */
const pollMs = 1_000;
/** After a cut, as long as the database is away. */
const reconnect: Backoff = { baseMs: 100, maxMs: 2_000 };

export interface FeedOptions {
  readonly connector: Connector;
  readonly log: Log;
  /** Says on a new connection that this process is there: a write, so that the standbys have all that is visible. */
  readonly announce: (session: DatabaseSession) => Promise<unknown>;
  /** Called whenever the database answered. */
  readonly onReceived: () => void;
}

/** What a replica has not yet: it waits for it, through outages. */
export class Feed {
  constructor(private readonly options: FeedOptions) {}

  /**
   * Batches after a position, without gaps, until `signal` aborts.
   *
   * @throws FleetDiverged, FleetOutrun; FleetRefused when the log is of a layout that this version does not know
   */
  async *batches(after: ReplicaPosition, signal: AbortSignal): AsyncGenerator<readonly LogBatch[]> {
    let at = after;
    let failures = 0;
    while (!signal.aborted) {
      const line = new Line(this.options, signal);
      try {
        await line.open(at);
        while (!signal.aborted) {
          const page = await line.next(at.position);
          failures = 0;
          const last = page.at(-1);
          if (!last) continue;
          at = { position: last.position, batchId: last.id };
          yield page;
        }
      } catch (error) {
        if (isFinal(error)) throw error;
        if (failures++ === 0 && !signal.aborted)
          this.options.log.warn({ error }, "the feed of the fleet was cut; it is opened again");
        await delay(this.options.connector.clock, fullJitterMs(reconnect, failures, Math.random()), signal);
      } finally {
        line.close();
      }
    }
  }
}

/** A standby behind the address may be the primary at the next try; these stay. */
function isFinal(error: unknown): boolean {
  if (error instanceof FleetRefused) return error.reason === "new_layout";
  return error instanceof FleetDiverged || error instanceof FleetOutrun;
}

/** One connection of the feed, and the hints that came over it. */
class Line {
  #session: DatabaseSession | undefined;
  #isHinted = true;
  #wake: (() => void) | undefined;

  constructor(
    private readonly options: FeedOptions,
    private readonly signal: AbortSignal,
  ) {}

  async open(at: ReplicaPosition): Promise<void> {
    const { session } = await this.options.connector.open("feed");
    this.#session = session;
    this.signal.addEventListener("abort", this.#abort, { once: true });
    if (this.signal.aborted) session.close();
    session.onEnd(() => this.#hint());
    await session.listen("nexus", () => this.#hint());
    await this.options.announce(session);
    const history = judgeHistory(
      await readLogState((text, values) => session.query(text, values), at.position),
      at,
    );
    if (history === "diverged") {
      throw new FleetDiverged("the database of the fleet lost batches that this hub has");
    }
    if (history === "outrun") throw new FleetOutrun("the log of the fleet begins after what this hub has");
  }

  /** The next page, after a hint or when it is time; it may be empty. */
  async next(after: bigint): Promise<readonly LogBatch[]> {
    if (!this.#isHinted) await this.#sleep();
    if (this.signal.aborted) return [];
    this.#isHinted = false;
    const session = this.#session;
    if (!session) throw new Error("the feed is not open");
    const { batches, isFull } = await readBatches((text, values) => session.query(text, values), after);
    this.options.onReceived();
    if (isFull) this.#isHinted = true;
    return batches;
  }

  close(): void {
    this.signal.removeEventListener("abort", this.#abort);
    this.#session?.close();
  }

  readonly #abort = (): void => this.#session?.close();

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel();
        this.signal.removeEventListener("abort", wake);
        this.#wake = undefined;
        resolve();
      };
      const timer = this.options.connector.clock.setTimer(pollMs * (0.8 + 0.4 * Math.random()), wake);
      this.signal.addEventListener("abort", wake, { once: true });
      this.#wake = wake;
    });
  }

  #hint(): void {
    this.#isHinted = true;
    this.#wake?.();
  }
}
