import type { Principal } from "../../model/access/principal.js";
import type { View } from "../access/access_control.js";
import type { ReadAudit } from "./read_audit.js";
import type { WatchEvent } from "./watch_event.js";

/** A stream that follows, as a round sees it. None of its methods throws. */
export interface RoundMember {
  readonly principal: Principal;
  readonly view: Pick<View, "seesConnection">;
  /** It waits for the round of a connection. */
  joined(): void;
  /** The round is over for it. @returns whether it takes the state now; when not, it asks for the connection again by itself */
  left(connectionId: string): boolean;
  /** What `left` said that it takes. */
  deliver(event: WatchEvent): void;
  fail(error: unknown): void;
}

/** The streams of one principal that are to have the newest state of one connection. */
interface Round {
  readonly connectionId: string;
  readonly principal: Principal;
  readonly view: Pick<View, "seesConnection">;
  readonly members: Set<RoundMember>;
}

/**
 * Carries the newest state of what changed to all streams that follow it: judged and read once for all streams of a principal, the
 * reads of all of them put on record in one commit, then written to one stream after the other. A connection that changes again before
 * its reads are on record takes the same round.
 */
export class WatchFanout {
  readonly #readAudit: Pick<ReadAudit, "read" | "announce">;
  readonly #stateOf: (connectionId: string, view: Pick<View, "seesConnection">) => WatchEvent;
  readonly #open = new Map<string, Map<Principal, Round>>();
  #due: Round[] = [];

  constructor(options: {
    readAudit: Pick<ReadAudit, "read" | "announce">;
    stateOf: (connectionId: string, view: Pick<View, "seesConnection">) => WatchEvent;
  }) {
    this.#readAudit = options.readAudit;
    this.#stateOf = options.stateOf;
  }

  join(connectionId: string, member: RoundMember): void {
    const { members } = this.#roundOf(connectionId, member);
    const before = members.size;
    if (members.add(member).size > before) member.joined();
  }

  #roundOf(connectionId: string, { principal, view }: RoundMember): Round {
    let ofConnection = this.#open.get(connectionId);
    if (!ofConnection) {
      ofConnection = new Map();
      this.#open.set(connectionId, ofConnection);
    }
    let round = ofConnection.get(principal);
    if (!round) {
      round = { connectionId, principal, view, members: new Set() };
      ofConnection.set(principal, round);
      // When everybody has been told of the commit, in the same turn.
      if (this.#due.push(round) === 1) queueMicrotask(() => this.#run());
    }
    return round;
  }

  #run(): void {
    const due = this.#due;
    this.#due = [];
    for (const round of due) this.#advance(round, undefined);
  }

  /** @param recordedRevision is on record for this round */
  #advance(round: Round, recordedRevision: bigint | undefined): void {
    const { connectionId, principal } = round;
    try {
      // Read anew at each step, since it may have changed while the last read was put on record.
      const event = this.#stateOf(connectionId, round.view);
      const revision = event.kind === "state" ? event.view.token?.revision : undefined;
      if (revision !== undefined && revision !== recordedRevision) {
        const recorded = this.#readAudit.announce(principal, connectionId, revision);
        if (recorded !== undefined) {
          recorded.then(
            () => this.#advance(round, revision),
            (error: unknown) => this.#fail(round, error),
          );
          return;
        }
      }
      this.#close(round);
      this.#deliver(round, event, revision);
    } catch (error) {
      this.#fail(round, error);
    }
  }

  #deliver(
    { connectionId, principal, members }: Round,
    event: WatchEvent,
    revision: bigint | undefined,
  ): void {
    const taking: RoundMember[] = [];
    for (const member of members) if (member.left(connectionId)) taking.push(member);
    if (revision !== undefined && taking.length > 0) {
      void this.#readAudit.read(principal, connectionId, revision, taking.length);
    }
    for (const member of taking) member.deliver(event);
  }

  #fail(round: Round, error: unknown): void {
    this.#close(round);
    for (const member of round.members) member.fail(error);
  }

  #close({ connectionId, principal }: Round): void {
    const ofConnection = this.#open.get(connectionId);
    ofConnection?.delete(principal);
    if (ofConnection?.size === 0) this.#open.delete(connectionId);
  }
}
