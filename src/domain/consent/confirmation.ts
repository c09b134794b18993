import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  type NexusError,
  NotFound,
} from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Transaction } from "../../store/transaction.js";
import type { StoreParts } from "../connections/connections.js";
import type { PendingConsents } from "../grants/grants.js";
import type { ConsentCommits } from "./consent_commit.js";
import type { ConsentEnding } from "./consent_ending.js";
import type { ConsentJudge, Flaw } from "./ways.js";

/** Wrong codes that end a consent. Nobody guesses 256 bits: a wrong code is a mix-up or an attack. */
const maxFailures = 5;

/** A consent that waits for this principal to confirm it. */
interface WaitingConsent {
  readonly connection: Connection;
  readonly key: string;
  readonly pending: PendingAuthorization;
  readonly actor: Principal;
}

/** Makes a held credential the connection's own when the application that started the consent confirms it. */
export class ConsentConfirmation {
  constructor(
    private readonly deps: StoreParts & {
      readonly judge: ConsentJudge;
      readonly commits: ConsentCommits;
      readonly ending: ConsentEnding;
      readonly pending: PendingConsents;
      /** Shared with the refresher: one credential of a connection is written at a time. */
      readonly locks: KeyedMutex<string>;
    },
  ) {}

  /** @throws NotFound, InvalidArgument, FailedPrecondition */
  async confirm(connectionId: string, completionCode: string, actor: Principal): Promise<Connection> {
    const { locks, store, log } = this.deps;
    const outcome = await locks.run(connectionId, () =>
      store.commit((tx) => this.#decide(tx, connectionId, completionCode, actor)),
    );
    if (!(outcome instanceof Error)) return outcome;
    log.warn({ connectionId, error: outcome.message }, "consent not confirmed");
    throw outcome;
  }

  /**
   * An error that is returned is committed with what was written for it. Who did not make the request learns no more than that nothing waits
   * for him.
   */
  #decide(
    tx: Transaction,
    connectionId: string,
    completionCode: string,
    actor: Principal,
  ): Connection | NexusError {
    const connection = tx.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const key = connection.pendingStateHash;
    const pending = key === undefined ? undefined : tx.getAuthorization(key);
    if (key === undefined || !pending) throw nothingWaits();
    const { judge, commits } = this.deps;
    const waiting = { connection, key, pending, actor };
    const found = judge.judge("confirm", tx, { key, pending }, { caller: actor, completionCode });
    if (typeof found === "string") return this.#refuse(tx, waiting, found);
    const credential = found.secret.held;
    if (!credential) return this.#refuse(tx, waiting, "unreadable");
    const committed = commits.commitIn(tx, { ...found, way: "confirmation", credential, actor });
    if (!committed) throw nothingWaits();
    return committed.connection;
  }

  /** @throws FailedPrecondition for who did not make the request, and after its time: nothing is written then */
  #refuse(tx: Transaction, waiting: WaitingConsent, flaw: Flaw): NexusError {
    switch (flaw) {
      case "wrong_completion_code":
        return this.#countFailure(tx, waiting);
      case "profile_changed":
        this.#end(tx, waiting, "authorization_failed");
        return providerLost("PROVIDER_CHANGED", "changed");
      case "profile_deleted":
        this.#end(tx, waiting, "authorization_failed");
        return providerLost("PROVIDER_DELETED", "deleted");
      case "unreadable":
        this.#end(tx, waiting, "data_loss");
        return new DataLoss("the credential that waited for its confirmation cannot be opened");
      default:
        throw nothingWaits();
    }
  }

  #countFailure(tx: Transaction, waiting: WaitingConsent): NexusError {
    const { key, pending, actor } = waiting;
    const failedConfirmations = pending.failedConfirmations + 1;
    const left = maxFailures - failedConfirmations;
    if (left > 0) {
      tx.putAuthorization(key, { ...pending, failedConfirmations });
      const { connectionId, providerId } = pending;
      const event = { timeMs: this.deps.clock.nowMs(), ...by(actor), connectionId, providerId };
      tx.appendAudit({ ...event, type: "connection.confirmation_failed", reason: "wrong_code" });
    } else {
      this.#end(tx, waiting, "confirmation_failed");
    }
    const rest =
      left > 0 ? `${left} of ${maxFailures} tries are left` : "the consent is over: request it again";
    const description = `is not the code that came back to the return URL; ${rest}`;
    return new InvalidArgument([{ field: "completion_code", description }]);
  }

  #end(tx: Transaction, { connection, pending, actor }: WaitingConsent, reason: ProblemReason): void {
    this.deps.pending.end(tx, connection, "goes_on");
    this.deps.ending.endIn(tx, { pending, reason, type: "connection.confirmation_failed", actor });
  }
}

function providerLost(reason: "PROVIDER_CHANGED" | "PROVIDER_DELETED", what: string): FailedPrecondition {
  return new FailedPrecondition(reason, `the provider profile was ${what}: request the consent again`);
}

function nothingWaits(): FailedPrecondition {
  return new FailedPrecondition(
    "NOT_AWAITING_CONFIRMATION",
    "no consent of this connection waits for your confirmation: it was not given yet, was confirmed, expired, or is not yours",
  );
}
