import type { Identity, Principal } from "../../model/access/principal.js";
import { isRequester, type PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import { FailedPrecondition } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Clock } from "../../runtime/clock.js";
import type { Transaction } from "../../store/transaction.js";
import { type CredentialVault, takeRequest } from "../connections/connections.js";
import type { QueuedRevocation, RevocationQueue } from "./revocation_queue.js";

/** Ends requests for consent, with what they hold. */
export class PendingConsents {
  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly revocations: RevocationQueue;
      readonly clock: Clock;
    },
  ) {}

  /**
   * Erases the pending request of a connection. A credential that waits for its confirmation is revoked at the provider. If the connection
   * already holds a credential of the same account, it is only erased, because many providers would end both.
   *
   * @param fate whether the connection goes on without it
   * @returns what becomes of the token that it held
   */
  end(tx: Transaction, connection: Connection, fate: "goes_on" | "ends"): QueuedRevocation {
    const key = connection.pendingStateHash;
    if (key === undefined) return "not_needed";
    const pending = takeRequest(tx, key, this.deps.clock.nowMs());
    return pending?.held ? this.#release(tx, connection, key, pending, fate) : "not_needed";
  }

  /**
   * Ends the request whose place a new one takes.
   *
   * @param profile of the new one
   * @param isConfirmed whether the new one must be confirmed
   * @throws FailedPrecondition for a request that must be confirmed by another caller, or that the new one would free of it
   */
  replace(
    tx: Transaction,
    connection: Connection,
    profile: ProviderProfile,
    isConfirmed: boolean,
    principal: Principal,
  ): void {
    const pending = connection.pendingStateHash && tx.getAuthorization(connection.pendingStateHash);
    const isOpen =
      pending && this.deps.clock.nowMs() < pending.expiresAtMs && pending.providerVersion === profile.version;
    if (isOpen && !mayTakePlace(pending, isConfirmed, principal)) {
      const message =
        "the application that requested the pending consent must confirm it: wait until it has, or until the request ends ten minutes after it was made or answered";
      throw new FailedPrecondition("CONNECTION_PENDING", message);
    }
    this.end(tx, connection, "goes_on");
  }

  #release(
    tx: Transaction,
    connection: Connection,
    key: string,
    pending: PendingAuthorization,
    fate: "goes_on" | "ends",
  ): QueuedRevocation {
    const { connectionId, providerId } = pending;
    const place = { connectionId, providerId, revision: 0n };
    return this.deps.revocations.unlessUnreadable(tx, place, () => {
      const { held } = this.deps.vault.openAuthorization(key, pending);
      if (held?.kind !== "token_set") return "not_needed";
      const { subject } = held.tokenSet;
      if (fate === "goes_on" && subject !== undefined && subject === connection.subject) return "not_needed";
      return this.deps.revocations.enqueue(tx, { ...place, binding: held.binding }, held.tokenSet);
    });
  }
}

/** A confirmation is dropped by nobody, and only the caller that demanded it may demand another one in its place. */
export function mayTakePlace(pending: PendingAuthorization, isConfirmed: boolean, caller: Identity): boolean {
  return !pending.requireConfirmation || (isConfirmed && isRequester(pending, caller));
}
