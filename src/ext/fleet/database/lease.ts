import type { Log, Timer } from "../../../runtime/runtime.js";
import type { Channel } from "./connection/channel.js";
import { layout } from "./connection/layouts.js";

/** A lease is renewed so often in its time. */
const renewals = 5;
/** The part of the lease in which a send may begin: the rest is for what is on its way, and for clocks that drift. */
const sendPart = 0.7;
/** When the database comes back, the one who led renews first. */
const graceMs = 5_000;
/** Where it could not be asked. */
const retryMs = 250;

export interface LeaseOptions {
  /** Its own connection: nothing else may hold up a renewal. */
  readonly channel: Channel;
  /** UUID of this process, new at each start. */
  readonly owner: string;
  /** What other hubs dial. */
  readonly address: string;
  readonly log: Log;
  /** Default 10 000. */
  readonly leaseMs?: number;
  /** Called once when another process leads, or nobody is known to. Not when the database is away. */
  readonly onLost: () => void;
}

/** Who leads, by the database. */
export interface LeaseHolder {
  readonly owner: string;
  readonly address: string;
  readonly fence: bigint;
  /** By the database's clock; negative: it is over. */
  readonly remainingMs: number;
}

/** When a renewal was asked for, on both clocks: a machine that sleeps stops the first, a person moves the second. */
interface RenewalTime {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * The right to lead. Time decides who may try to take it; the fence, checked inside each commit, decides who may write; and
 * `isSafeToSend`, who may send.
 */
export class Lease {
  readonly #leaseMs: number;
  #fence: bigint | undefined;
  #asked: RenewalTime | undefined;
  #timer: Timer | undefined;
  #renewing: Promise<void> | undefined;
  #isOver = false;

  constructor(private readonly options: LeaseOptions) {
    this.#leaseMs = options.leaseMs ?? 10_000;
  }

  /** Undefined while this process does not lead. */
  get fence(): bigint | undefined {
    return this.#fence;
  }

  /**
   * One try.
   *
   * @param holder who leads by the database: this process itself, where the answer to an earlier try was lost
   * @returns whether this process leads now; the lease is renewed from then on
   */
  async acquire(holder?: LeaseHolder): Promise<boolean> {
    if (this.#isOver) return false;
    if (this.#fence !== undefined) return true;
    const { channel, owner, address } = this.options;
    await channel.session();
    if (holder?.owner !== owner && (channel.sinceReconnectMs ?? graceMs) < graceMs) return false;
    const asked = this.#now();
    const fence = await channel.value("SELECT nexus.acquire_1($1, $2, $3, $4) AS value", [
      owner,
      this.#leaseMs,
      address,
      layout,
    ]);
    if (fence === undefined || this.#isOver) return false;
    this.#fence = BigInt(fence);
    this.#asked = asked;
    this.#renewIn(this.#leaseMs / renewals);
    return true;
  }

  /** Whether a request that begins now begins while nobody else can lead. */
  isSafeToSend(): boolean {
    if (this.#fence === undefined || this.#asked === undefined) return false;
    const now = this.#now();
    const limitMs = this.#leaseMs * sendPart;
    const wallMs = now.wallMs - this.#asked.wallMs;
    return now.monotonicMs - this.#asked.monotonicMs < limitMs && wallMs >= 0 && wallMs < limitMs;
  }

  /** Ends it, so that another process leads within a second. @returns whether it was still this process's */
  async release(): Promise<boolean> {
    const fence = this.#fence;
    this.#end();
    await this.#renewing;
    if (fence === undefined) return false;
    const answer = await this.options.channel.value("SELECT nexus.release_1($1, $2) AS value", [
      this.options.owner,
      String(fence),
    ]);
    return answer === "true";
  }

  /** Who leads; undefined: nobody ever did. */
  async holder(): Promise<LeaseHolder | undefined> {
    const [row] = await this.options.channel.query<{
      owner: string;
      address: string;
      fence: string;
      remaining: number;
    }>(
      `SELECT owner::text AS owner, address, fence::text AS fence,
         (extract(epoch FROM until - clock_timestamp()) * 1000)::float8 AS remaining
       FROM nexus.lease WHERE name = 'leader'`,
    );
    return row && { ...row, fence: BigInt(row.fence), remainingMs: Math.round(row.remaining) };
  }

  #renewIn(delayMs: number): void {
    if (this.#isOver) return;
    this.#timer = this.options.channel.clock.setTimer(delayMs, () => {
      this.#renewing = this.#renew();
    });
  }

  async #renew(): Promise<void> {
    const { channel, owner, log, onLost } = this.options;
    const asked = this.#now();
    try {
      const answer = await channel.value("SELECT nexus.renew_1($1, $2, $3) AS value", [
        owner,
        String(this.#fence),
        this.#leaseMs,
      ]);
      if (this.#isOver) return;
      if (answer !== "true") {
        this.#end();
        onLost();
        return;
      }
      this.#asked = asked;
      this.#renewIn(this.#leaseMs / renewals);
    } catch (error) {
      log.warn({ error }, "the lease of the fleet could not be renewed; it is tried again");
      this.#renewIn(retryMs * (0.5 + Math.random()));
    }
  }

  #end(): void {
    this.#isOver = true;
    this.#fence = undefined;
    this.#asked = undefined;
    this.#timer?.cancel();
  }

  #now(): RenewalTime {
    const { clock } = this.options.channel;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
  }
}
