import type { Principal } from "../../../model/access/principal.js";
import { type Connection, hasUsableToken } from "../../../model/connections/connection.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Log } from "../../../runtime/log.js";
import type { Transaction, WriteObserver } from "../../../store/transaction.js";
import type { Sight } from "../../access/access.js";
import type { ReadAudit } from "../read_audit.js";
import type { Subscribers } from "./subscribers.js";
import type { WatchEvent } from "./watch_event.js";
import type { OpeningDeps } from "./watch_opening.js";

/** A stream that follows, as a delivery sees it. None of its methods throws. */
export interface FanoutStream {
  readonly principal: Principal;
  /** As `readerOf` has it. */
  readonly reader: string;
  readonly view: Sight;
  /** It waits for the delivery of a connection. */
  subscribed(): void;
  /** The delivery is over for it. @returns whether it takes the state now; when not, it asks for the connection again by itself */
  leave(connectionId: string): boolean;
  /** The result of `leave`. */
  deliver(event: WatchEvent): void;
  fail(error: unknown): void;
}

/** The streams of one reader that are to have the newest state of one connection. */
interface StateDelivery {
  readonly connectionId: string;
  readonly reader: string;
  readonly principal: Principal;
  readonly view: Sight;
  readonly members: Set<FanoutStream>;
}

/**
 * Carries the newest state of what changed to all streams that follow it. It is judged and read once for all streams of a reader, and all
 * reads are recorded in one commit. Then it is written to one stream after the other. A connection that changes again before its reads are
 * on record takes the same delivery.
 */
export class WatchFanout {
  readonly #readAudit: OpeningDeps["readAudit"];
  readonly #stateOf: (connectionId: string, view: Sight) => WatchEvent;
  readonly #open = new Map<string, Map<string, StateDelivery>>();
  #due: StateDelivery[] = [];

  constructor(options: {
    readAudit: OpeningDeps["readAudit"];
    stateOf: (connectionId: string, view: Sight) => WatchEvent;
  }) {
    this.#readAudit = options.readAudit;
    this.#stateOf = options.stateOf;
  }

  subscribe(connectionId: string, member: FanoutStream): void {
    const { members } = this.#deliveryOf(connectionId, member);
    const before = members.size;
    if (members.add(member).size > before) member.subscribed();
  }

  #deliveryOf(connectionId: string, { reader, principal, view }: FanoutStream): StateDelivery {
    let ofConnection = this.#open.get(connectionId);
    if (!ofConnection) {
      ofConnection = new Map();
      this.#open.set(connectionId, ofConnection);
    }
    let delivery = ofConnection.get(reader);
    if (!delivery) {
      delivery = { connectionId, reader, principal, view, members: new Set() };
      ofConnection.set(reader, delivery);
      // When everybody has been notified of the commit, in the same turn.
      if (this.#due.push(delivery) === 1) queueMicrotask(() => this.#run());
    }
    return delivery;
  }

  #run(): void {
    const due = this.#due;
    this.#due = [];
    for (const delivery of due) this.#advance(delivery, undefined);
  }

  /** @param recordedRevision is on record for this delivery */
  #advance(delivery: StateDelivery, recordedRevision: bigint | undefined): void {
    const { connectionId, principal } = delivery;
    try {
      // Read again at each step, since it may have changed while the last read was put on record.
      const event = this.#stateOf(connectionId, delivery.view);
      const revision = event.kind === "state" ? event.view.token?.revision : undefined;
      if (revision !== undefined && revision !== recordedRevision) {
        const recorded = this.#readAudit.announce(principal, connectionId, revision);
        if (recorded !== undefined) {
          recorded.then(
            () => this.#advance(delivery, revision),
            (error: unknown) => this.#fail(delivery, error),
          );
          return;
        }
      }
      this.#close(delivery);
      this.#deliver(delivery, event, revision);
    } catch (error) {
      this.#fail(delivery, error);
    }
  }

  #deliver(
    { connectionId, principal, members }: StateDelivery,
    event: WatchEvent,
    revision: bigint | undefined,
  ): void {
    const taking: FanoutStream[] = [];
    for (const member of members) if (member.leave(connectionId)) taking.push(member);
    if (revision !== undefined && taking.length > 0) {
      void this.#readAudit.read(principal, connectionId, revision, taking.length);
    }
    for (const member of taking) member.deliver(event);
  }

  #fail(delivery: StateDelivery, error: unknown): void {
    this.#close(delivery);
    for (const member of delivery.members) member.fail(error);
  }

  #close({ connectionId, reader }: StateDelivery): void {
    const ofConnection = this.#open.get(connectionId);
    ofConnection?.delete(reader);
    if (ofConnection?.size === 0) this.#open.delete(connectionId);
  }
}

/** Readers whose reads lie in the commit of a revision, at most: a token set that was redeemed waits for no more of them. */
const maxReadersWithin = 64;

/**
 * Puts the reads of those who follow on record in the very commit that writes a new revision, so that nothing more is to become durable before
 * it leaves. A subscriber that is left out, and each watcher of another hub of a fleet, is put on record by the delivery.
 */
export class WatchedReads implements WriteObserver {
  constructor(
    private readonly deps: {
      readonly subscribers: Subscribers;
      readonly readAudit: ReadAudit;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  connection(tx: Transaction, before: Connection | undefined, after: Connection | undefined): void {
    const { subscribers, readAudit, clock, log } = this.deps;
    if (!before || !after || !isNextRevision(before, after) || !hasUsableToken(after, clock.nowMs())) return;
    const { id: connectionId, userId, providerId, label, dueAtMs } = after;
    try {
      const change = { connectionId, userId, providerId, label, dueAtMs };
      const readers = subscribers.readersOf(change, maxReadersWithin);
      readAudit.recordWithin(tx, readers, connectionId, after.credentialRevision);
    } catch (error) {
      // The commit holds a token, and goes on: the delivery puts on record what is not.
      log.error({ connectionId, err: error }, "reads could not be put on record with what is read");
    }
  }

  suspension(): void {
    // Nobody reads it.
  }
}

/**
 * Of the same owner: who sees the connection is looked up in the middle of the commit, and remembered, and must not follow from what may be
 * rolled back.
 */
function isNextRevision(before: Connection, after: Connection): boolean {
  const { credentialRevision, userId, providerId } = after;
  return (
    credentialRevision !== before.credentialRevision &&
    userId === before.userId &&
    providerId === before.providerId
  );
}
