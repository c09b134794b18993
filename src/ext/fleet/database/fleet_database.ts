import type { Clock, Log } from "../../../runtime/runtime.js";
import type { LogBatch, ReplicaPosition } from "../replication/log.js";
import { Channel } from "./connection/channel.js";
import { Connector } from "./connection/connector.js";
import { FleetUnreachable } from "./connection/fleet_error.js";
import { probe } from "./connection/probe.js";
import type { DatabaseSession } from "./connection/session.js";
import { Lease } from "./lease.js";
import { DatabaseLog } from "./log/database_log.js";
import { Feed } from "./log/feed.js";
import { FirstCopy } from "./log/first_copy.js";
import { ImageKeeper } from "./log/image.js";
import { announce, type Member, Members } from "./members.js";
import { Restored } from "./restored.js";
import { FleetSpool } from "./spool.js";
import { type FleetVerdict, judge } from "./verdict.js";

export interface FleetDatabaseOptions {
  /**
   * `postgres://user:password@host1:5432,host2/database?sslmode=verify-full&sslrootcert=FILE`, or
   * `postgres://user@/database?host=/folder` for a Unix socket.
   */
  readonly url: string;
  /** What this process says of itself, whenever it connects. Its `owner` is new at each start. */
  readonly member: () => Member;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The PostgreSQL of a fleet: up to four connections, for the feed, the lease, the commits of a leader, and the rest. Each connects again
 * by itself when it is asked again.
 */
export class FleetDatabase {
  readonly members: Members;
  readonly spool: FleetSpool;
  readonly restored: Restored;
  readonly #rest: Channel;
  readonly #leaseChannel: Channel;
  readonly #feed: Feed;
  readonly #closing = new AbortController();
  #lastContactMs: number;

  private constructor(
    private readonly options: FleetDatabaseOptions,
    private readonly connector: Connector,
    /** Of the moment of the connection; `judge` has that of now. */
    readonly verdict: FleetVerdict,
  ) {
    const { clock, log, member } = options;
    this.#lastContactMs = clock.monotonicMs();
    this.#rest = new Channel(connector, "members");
    this.#leaseChannel = new Channel(connector, "lease");
    this.members = new Members(this.#rest);
    this.spool = new FleetSpool(this.#rest);
    this.restored = new Restored(this.#rest);
    this.#feed = new Feed({
      connector,
      log,
      announce: (session: DatabaseSession) => announce(session, member()),
      onReceived: () => {
        this.#lastContactMs = clock.monotonicMs();
      },
    });
  }

  /**
   * Connects, and judges what is there by the position of this replica; undefined: it has none.
   *
   * @throws FleetRefused where it may not be used; FleetUnreachable where no host answers as a primary
   */
  static async connect(options: FleetDatabaseOptions, position?: ReplicaPosition): Promise<FleetDatabase> {
    const connector = new Connector(options.url, options.clock);
    const { session, probe } = await connector.open("connect");
    try {
      return new FleetDatabase(options, connector, await judge(session, probe, position));
    } finally {
      session.close();
    }
  }

  /** See `Connector.lacking`. */
  get lacking(): ReadonlyMap<string, Error> {
    return this.connector.lacking;
  }

  /** For how long no statement of the feed was answered: how old the replica may be. */
  get silentMs(): number {
    return this.options.clock.monotonicMs() - this.#lastContactMs;
  }

  /** The verdict of now. @throws FleetRefused, FleetUnreachable */
  async judge(position?: ReplicaPosition): Promise<FleetVerdict> {
    const session = await this.#rest.session();
    return await judge(session, await probe(session, this.options.clock), position);
  }

  /**
   * Batches after a position, in order and without gaps, until `signal` aborts or the database is closed; it waits through outages.
   *
   * @throws FleetDiverged, FleetOutrun when the position means nothing there, now or after a reconnection
   */
  feed(after: ReplicaPosition, signal: AbortSignal): AsyncIterable<readonly LogBatch[]> {
    return this.#feed.batches(after, AbortSignal.any([signal, this.#closing.signal]));
  }

  /** For a replica that has no position, or one that the log does not know. */
  firstCopy(): FirstCopy {
    return new FirstCopy(this.#rest);
  }

  /** Position of the newest batch, asked now. @throws FleetUnreachable */
  async newest(): Promise<bigint> {
    const newest = await this.#rest.value("SELECT max(position) AS value FROM nexus.log");
    if (newest === undefined) throw new FleetUnreachable("the log of the fleet is empty");
    return BigInt(newest);
  }

  /** The epoch that is in force, asked now. @throws FleetUnreachable */
  async epoch(): Promise<string> {
    const epoch = await this.#rest.value("SELECT epoch AS value FROM nexus.head");
    if (epoch === undefined) throw new FleetUnreachable("the fleet has no head");
    return epoch;
  }

  /** The right to lead, on a connection of its own. One for each process. */
  lease(options: {
    readonly address: string;
    readonly leaseMs?: number;
    readonly onLost: () => void;
  }): Lease {
    const { owner } = this.options.member();
    return new Lease({ ...options, owner, log: this.options.log, channel: this.#leaseChannel });
  }

  /** The log for a leader with this fence, in the epoch that it knows. */
  leaderLog(fence: bigint, epoch: string): DatabaseLog {
    const { owner } = this.options.member();
    return new DatabaseLog({ connector: this.connector, log: this.options.log, owner, fence, epoch });
  }

  /** The leader runs it as long as it leads. */
  imageKeeper(fence: bigint): ImageKeeper {
    const { owner } = this.options.member();
    return new ImageKeeper({ channel: this.#rest, owner, fence, log: this.options.log });
  }

  /** Changes the epoch, once for all who found it diverged. @returns the one that is in force now */
  async changeEpoch(from: string): Promise<string> {
    const epoch = await this.#rest.value("SELECT nexus.change_epoch_1($1) AS value", [from]);
    if (epoch === undefined) throw new FleetUnreachable("the fleet has no head");
    return epoch;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#rest.close(), this.#leaseChannel.close()]);
  }
}
