import { type AuditEventType, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import {
  type HeldCredential,
  isRequester,
  type PendingAuthorization,
} from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import {
  DataLoss,
  FailedPrecondition,
  InvalidArgument,
  type NexusError,
  NotFound,
  type PreconditionReason,
} from "../../model/errors.js";
import type { ProblemReason } from "../../model/problem_reason.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection, consentEnded } from "../connections/state/connection_change.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { VaultParts } from "../credentials/parts.js";
import type { RevocationQueue } from "../revocation/revocation_queue.js";
import { ConsentWriter } from "./consent_keeper.js";
import { sameText } from "./consent_result.js";
import { hashCompletionCode, PendingConsents } from "./pending_consents.js";

/** Wrong codes that end a consent: 256 bits are not guessed, so anyone who is wrong has mixed something up, or is up to something. */
const maxFailures = 5;

/** A held consent, found for the principal that may confirm it. */
interface Waiting {
  readonly connection: Connection;
  readonly key: string;
  readonly pending: PendingAuthorization;
}

/** Makes a held credential the connection's own when the application that started the consent confirms it. */
export class ConsentConfirmation {
  readonly #consents: ConsentWriter;
  readonly #requests: PendingConsents;

  constructor(
    private readonly deps: VaultParts & {
      readonly writer: CredentialWriter;
      readonly revocations: RevocationQueue;
      /** Shared with the refresher: one credential of a connection is written at a time. */
      readonly locks: KeyedMutex<string>;
    },
  ) {
    this.#consents = new ConsentWriter(deps);
    this.#requests = new PendingConsents(deps);
  }

  /** @throws NotFound, InvalidArgument, FailedPrecondition */
  async confirm(connectionId: string, completionCode: string, principal: Principal): Promise<Connection> {
    const outcome = await this.deps.locks.run(connectionId, () =>
      this.deps.store.commit((tx) =>
        this.#decide(tx, this.#find(tx, connectionId, principal), completionCode, principal),
      ),
    );
    if ("kind" in outcome) {
      this.deps.log.warn({ connectionId, error: outcome.message }, "consent not confirmed");
      throw outcome;
    }
    this.deps.log.info({ connectionId }, "connection is active");
    return outcome;
  }

  /** Who did not make the request learns no more than that nothing waits for him, and cannot use up its tries. */
  #find(tx: Transaction, connectionId: string, principal: Principal): Waiting {
    const connection = tx.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const key = connection.pendingStateHash;
    const pending = key === undefined ? undefined : tx.getAuthorization(key);
    const isTheirs = pending?.held === true && isRequester(pending, principal);
    if (key === undefined || !isTheirs || this.deps.clock.nowMs() >= pending.expiresAtMs) {
      throw new FailedPrecondition(
        "NOT_AWAITING_CONFIRMATION",
        "no consent of this connection waits for your confirmation: it was not given yet, was confirmed, expired, or is not yours",
      );
    }
    return { connection, key, pending };
  }

  /** What is to be written stays written when it answers an error. */
  #decide(
    tx: Transaction,
    waiting: Waiting,
    completionCode: string,
    principal: Principal,
  ): Connection | NexusError {
    const { pending, key } = waiting;
    if (!sameText(hashCompletionCode(completionCode), key)) return this.#countFailure(tx, waiting, principal);
    const profile = tx.getProvider(pending.providerId);
    if (profile?.version !== pending.providerVersion) {
      this.#end(tx, waiting, "authorization_failed", principal);
      const reason: PreconditionReason = profile ? "PROVIDER_CHANGED" : "PROVIDER_DELETED";
      const what = profile ? "changed" : "deleted";
      return new FailedPrecondition(reason, `the provider profile was ${what}: request the consent again`);
    }
    const held = this.deps.vault.authorizationIfOpens(key, pending)?.held;
    if (!held) {
      this.#end(tx, waiting, "data_loss", principal);
      return new DataLoss("the credential that waited for its confirmation cannot be opened");
    }
    return this.#write(tx, waiting, profile, held, principal);
  }

  #write(
    tx: Transaction,
    { connection, key, pending }: Waiting,
    profile: ProviderProfile,
    held: HeldCredential,
    principal: Principal,
  ): Connection {
    tx.takeAuthorization(key);
    const asked: Connection = {
      ...connection,
      pendingStateHash: undefined,
      requestExpiresAtMs: undefined,
      awaitingConfirmation: undefined,
    };
    const written =
      held.kind === "token_set"
        ? this.#consents.write(
            tx,
            asked,
            { pending, profile, tokenSet: held.tokenSet, metadata: held.callbackMetadata },
            Math.min(held.receivedAtMs, this.deps.clock.nowMs()),
          )
        : this.deps.writer.writeFields(tx, { ...asked, requestedScopes: [] }, profile, held);
    this.#audit(tx, "connection.confirmed", pending, principal, undefined, written.credentialRevision);
    return written;
  }

  #countFailure(tx: Transaction, waiting: Waiting, principal: Principal): NexusError {
    const { key, pending } = waiting;
    const failedConfirmations = pending.failedConfirmations + 1;
    const left = maxFailures - failedConfirmations;
    if (left > 0) {
      tx.putAuthorization(key, { ...pending, failedConfirmations });
      this.#audit(tx, "connection.confirmation_failed", pending, principal, "wrong_code");
    } else {
      this.#end(tx, waiting, "confirmation_failed", principal);
    }
    const rest =
      left > 0 ? `${left} of ${maxFailures} tries are left` : "the consent is over: request it again";
    const description = `is not the code that came back to the return URL; ${rest}`;
    return new InvalidArgument([{ field: "completion_code", description }]);
  }

  #end(tx: Transaction, { connection, pending }: Waiting, reason: ProblemReason, principal: Principal): void {
    const nowMs = this.deps.clock.nowMs();
    this.#requests.end(tx, connection, "goes_on");
    tx.putConnection(changeConnection(connection, consentEnded(connection, "failed", reason, nowMs), nowMs));
    this.#audit(tx, "connection.confirmation_failed", pending, principal, reason);
  }

  #audit(
    tx: Transaction,
    type: AuditEventType,
    { connectionId, providerId }: PendingAuthorization,
    principal: Principal,
    reason?: string,
    revision?: bigint,
  ): void {
    tx.appendAudit({
      timeMs: this.deps.clock.nowMs(),
      type,
      ...by(principal),
      ...{ connectionId, providerId, reason, revision },
    });
  }
}
