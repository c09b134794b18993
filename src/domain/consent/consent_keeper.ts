import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type Account, isOtherAccount } from "../../model/credentials/account.js";
import { UnusableGrant } from "../../oauth/failure.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import { takeRequest } from "../connections/state/connection_change.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { TokenSpool } from "../refresh/journal/token_spool.js";
import type { RevocationQueue } from "../revocation/revocation_queue.js";
import type { UserInfoClient } from "../token_endpoint/user_info_client.js";
import { ConsentHolder } from "./consent_holder.js";
import { type Consented, ConsentWriter } from "./consent_writer.js";
import { mayTakePlace, PendingConsents } from "./pending_consents.js";

export interface ConsentKeeperDeps {
  readonly store: Pick<Store, "getConnection" | "getCredential">;
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  readonly userInfo: Pick<UserInfoClient, "accountOf">;
  /** Whether a connection stays as it was when another account consents than before. */
  readonly refusesOtherAccounts: boolean;
  /** Called when a provider has accepted the client of its profile. */
  readonly onAccepted: (providerId: string) => void;
  readonly clock: Clock;
}

/** What a consent brought. */
export interface KeptConsent {
  /** When the credential waits for its confirmation. */
  readonly completionCode: string | undefined;
  readonly account: Account | undefined;
  /** It is another than before. */
  readonly isOther: boolean;
}

/** Stores what a consent brought, and whose it is. */
export class ConsentKeeper {
  readonly #consents: ConsentWriter;
  readonly #holder: ConsentHolder;
  readonly #requests: PendingConsents;

  constructor(private readonly deps: ConsentKeeperDeps) {
    this.#consents = new ConsentWriter(deps);
    this.#holder = new ConsentHolder(deps);
    this.#requests = new PendingConsents(deps);
  }

  /**
   * One commit. The caller holds the mutex of the connection.
   *
   * @param device key of the pending authorization of a device, which that commit takes
   * @throws ConsentSuperseded, and UnusableGrant for another account where that is refused
   */
  async keep(granted: Consented, actor: Principal, device?: string): Promise<KeptConsent> {
    const { store, spool, userInfo, refusesOtherAccounts, onAccepted, clock } = this.deps;
    const receivedAtMs = clock.nowMs();
    const { pending, profile } = granted;
    const { connectionId } = pending;
    let consented = granted;
    this.#hold(() => consented, receivedAtMs, device);
    const account = await userInfo.accountOf(profile, granted.tokenSet);
    consented = { ...granted, tokenSet: { ...granted.tokenSet, account } };
    const isOther = isOtherAccount(store.getConnection(connectionId)?.account, account);
    if (isOther && refusesOtherAccounts) {
      spool.release(connectionId);
      const why = { kind: "rejected", reason: "account_changed" } as const;
      throw new UnusableGrant(why, consented.tokenSet, consented.tokenSet.subject);
    }
    const stored = await spool.commit(connectionId, (tx) =>
      device === undefined || takeRequest(tx, device, clock.nowMs())
        ? this.#keep(tx, consented, receivedAtMs, { actor, isOther })
        : this.#drop(tx, consented, actor, "request_replaced"),
    );
    onAccepted(profile.id);
    if (stored === "superseded") throw new ConsentSuperseded();
    return { completionCode: stored.completionCode, account, isOther };
  }

  /** For spool, should the store fail for good. What waits for its confirmation is not worth it: its person is still there. */
  #hold(consented: () => Consented, receivedAtMs: number, device: string | undefined): void {
    const { store, spool } = this.deps;
    const { connectionId, requireConfirmation } = consented().pending;
    const connection = store.getConnection(connectionId);
    if (requireConfirmation || !connection || connection.status === "revoked") return;
    const stored = store.getCredential(connectionId);
    spool.hold(connectionId, () => ({
      grant: "consent",
      ...this.#consents.compose(connection, stored, consented(), receivedAtMs),
      attempt: device,
    }));
  }

  #keep(
    tx: Transaction,
    consented: Consented,
    receivedAtMs: number,
    { actor, isOther }: { readonly actor: Principal; readonly isOther: boolean },
  ): "superseded" | { readonly completionCode: string | undefined } {
    const { pending, profile, tokenSet, metadata } = consented;
    const { connectionId, providerId } = pending;
    const event = { timeMs: this.deps.clock.nowMs(), ...by(actor), connectionId, providerId };
    const connection = tx.getConnection(connectionId);
    const isEnded = !connection || connection.status === "revoked";
    const newer = connection?.pendingStateHash ? tx.getAuthorization(connection.pendingStateHash) : undefined;
    const isReplaced = newer && mayTakePlace(pending, newer.requireConfirmation, { name: newer.requestedBy });
    if (isEnded || (pending.requireConfirmation && isReplaced)) {
      return this.#drop(tx, consented, actor, isEnded ? "connection_ended" : "request_replaced");
    }
    if (!pending.requireConfirmation) {
      const written = this.#consents.write(tx, connection, consented, receivedAtMs);
      const otherAccount = isOther ? { reason: "account_changed" } : {};
      const revision = written.credentialRevision;
      tx.appendAudit({ ...event, type: "oauth_flow_completed", revision, ...otherAccount });
      return { completionCode: undefined };
    }
    // A request that was made during the exchange, and must not take the place of what waits.
    if (newer) this.#requests.end(tx, connection, "goes_on");
    const { completionCode } = this.#holder.hold(tx, connection, pending, {
      kind: "token_set",
      tokenSet,
      binding: grantBinding(profile),
      callbackMetadata: metadata,
      receivedAtMs,
    });
    tx.appendAudit({ ...event, type: "oauth_flow_completed", reason: "awaiting_confirmation" });
    return { completionCode };
  }

  /** Nobody waits for it any more: it is revoked. */
  #drop(
    tx: Transaction,
    { pending, profile, tokenSet }: Consented,
    actor: Principal,
    reason: "connection_ended" | "request_replaced",
  ): "superseded" {
    const { connectionId, providerId } = pending;
    const event = { timeMs: this.deps.clock.nowMs(), ...by(actor), connectionId, providerId };
    tx.appendAudit({ ...event, type: "token_storage_failed", reason });
    this.deps.revocations.enqueue(tx, { ...event, revision: 0n, binding: grantBinding(profile) }, tokenSet);
    return "superseded";
  }
}

/** The connection was revoked or deleted, or its consent was requested anew, while its token was being fetched. */
export class ConsentSuperseded extends Error {}
