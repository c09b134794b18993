import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { isRequester, type PendingAuthorization } from "../../model/connections/authorization.js";
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
import type { VaultParts } from "../credentials/parts.js";
import type { ConsentEnding } from "./consent_ending.js";
import type { ConsentKeeper } from "./consent_keeper.js";
import { sameText } from "./consent_outcomes.js";
import { hashCompletionCode, type PendingConsents } from "./pending_consents.js";

/** Wrong codes that end a consent: 256 bits are not guessed, so anyone who is wrong has mixed something up, or is up to something. */
const maxFailures = 5;

/** A consent that waits for this principal to confirm it. */
interface Waiting {
  readonly connection: Connection;
  readonly key: string;
  readonly pending: PendingAuthorization;
  readonly actor: Principal;
}

/** Makes a held credential the connection's own when the application that started the consent confirms it. */
export class ConsentConfirmation {
  constructor(
    private readonly deps: VaultParts & {
      readonly keeper: ConsentKeeper;
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
      store.commit((tx) => this.#decide(tx, this.#find(tx, connectionId, actor), completionCode)),
    );
    if (!(outcome instanceof Error)) return outcome;
    log.warn({ connectionId, error: outcome.message }, "consent not confirmed");
    throw outcome;
  }

  /** Who did not make the request learns no more than that nothing waits for him, and cannot use up its tries. */
  #find(tx: Transaction, connectionId: string, actor: Principal): Waiting {
    const connection = tx.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const key = connection.pendingStateHash;
    const pending = key === undefined ? undefined : tx.getAuthorization(key);
    const isTheirs = pending?.held === true && isRequester(pending, actor);
    if (key === undefined || !isTheirs || this.deps.clock.nowMs() >= pending.expiresAtMs)
      throw nothingWaits();
    return { connection, key, pending, actor };
  }

  /** An error is returned, so that what is written with it is committed. */
  #decide(tx: Transaction, waiting: Waiting, completionCode: string): Connection | NexusError {
    const { key, pending } = waiting;
    if (!sameText(hashCompletionCode(completionCode), key)) return this.#countFailure(tx, waiting);
    const profile = tx.getProvider(pending.providerId);
    if (profile?.version !== pending.providerVersion) {
      this.#end(tx, waiting, "authorization_failed");
      const [reason, what] = profile
        ? (["PROVIDER_CHANGED", "changed"] as const)
        : (["PROVIDER_DELETED", "deleted"] as const);
      return new FailedPrecondition(reason, `the provider profile was ${what}: request the consent again`);
    }
    const credential = this.deps.vault.authorizationIfOpens(key, pending)?.held;
    if (!credential) {
      this.#end(tx, waiting, "data_loss");
      return new DataLoss("the credential that waited for its confirmation cannot be opened");
    }
    const committed = this.deps.keeper.commit(tx, { ...waiting, way: "confirmation", profile, credential });
    if (!committed) throw nothingWaits();
    return committed.connection;
  }

  #countFailure(tx: Transaction, waiting: Waiting): NexusError {
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

  #end(tx: Transaction, { connection, pending, actor }: Waiting, reason: ProblemReason): void {
    this.deps.pending.end(tx, connection, "goes_on");
    this.deps.ending.endIn(tx, { pending, reason, type: "connection.confirmation_failed", actor });
  }
}

function nothingWaits(): FailedPrecondition {
  return new FailedPrecondition(
    "NOT_AWAITING_CONFIRMATION",
    "no consent of this connection waits for your confirmation: it was not given yet, was confirmed, expired, or is not yours",
  );
}
