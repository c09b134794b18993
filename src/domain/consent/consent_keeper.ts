import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { type PendingAuthorization, requesterOf } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type Account, isOtherAccount } from "../../model/credentials/account.js";
import type { SealedCredential, TokenSet } from "../../model/credentials/credential.js";
import { unlessDataLoss } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { UnusableGrant } from "../../oauth/failure.js";
import type { Secret } from "../../runtime/secret.js";
import type { Transaction } from "../../store/transaction.js";
import { consentGiven, takeRequest } from "../connections/state/connection_change.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { Composed, CredentialWriter } from "../credentials/credential_writer.js";
import type { VaultParts } from "../credentials/parts.js";
import type { TokenSpool } from "../refresh/journal/token_spool.js";
import type { RevocationQueue } from "../revocation/revocation_queue.js";
import type { UserInfoClient } from "../token_endpoint/user_info_client.js";
import { ConsentHolder, mayTakePlace, PendingConsents } from "./pending_consents.js";

/** What a code was exchanged for, and whose. */
export interface Consented {
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile;
  readonly tokenSet: TokenSet;
  /** Of the authorization response. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** From a consent that was given to the next revision of its connection. */
export class ConsentWriter {
  constructor(
    private readonly deps: { readonly vault: CredentialVault; readonly writer: CredentialWriter },
  ) {}

  /** The token set becomes the next revision of `connection`, which the caller has read in `tx`. */
  write(tx: Transaction, connection: Connection, consented: Consented, receivedAtMs: number): Connection {
    const stored = tx.getCredential(connection.id);
    return this.deps.writer.put(tx, this.compose(connection, stored, consented, receivedAtMs));
  }

  /** What `write` writes. @param receivedAtMs when the token set came: its lifetimes count from there */
  compose(
    connection: Connection,
    stored: SealedCredential | undefined,
    { pending, profile, tokenSet, metadata }: Consented,
    receivedAtMs: number,
  ): Composed {
    const granted = consentGiven(connection, {
      ...connection,
      providerId: profile.id,
      providerName: profile.name,
      requestedScopes: pending.scopes,
      consentedScopes: pending.scopes,
      metadata,
    });
    const refreshToken =
      tokenSet.refreshToken ?? this.#keptRefreshToken(connection, stored, profile, tokenSet);
    return this.deps.writer.compose(granted, profile, { ...tokenSet, refreshToken }, undefined, receivedAtMs);
  }

  /**
   * Some providers issue a refresh token at the first consent only. The one that is stored stays, when the id_token proves that the
   * same account consented, and it belongs to whom the profile names now.
   */
  #keptRefreshToken(
    connection: Connection,
    stored: SealedCredential | undefined,
    profile: ProviderProfile,
    tokenSet: TokenSet,
  ): Secret | undefined {
    if (tokenSet.subject === undefined || tokenSet.subject !== connection.subject) return undefined;
    if (connection.problem?.movedFrom !== undefined) return undefined;
    const credential = stored && unlessDataLoss(() => this.deps.vault.openCredential(connection, stored));
    const isOurs = credential?.binding === undefined || credential.binding === grantBinding(profile);
    // It may be bound to its key, and the credential has room for one.
    const isKeyLost = credential?.dpopKey?.reveal() !== tokenSet.dpopKey?.reveal();
    if (credential?.dpopKey && isKeyLost) return undefined;
    return isOurs ? credential?.refreshToken : undefined;
  }
}

export interface ConsentKeeperDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  readonly userInfo: Pick<UserInfoClient, "accountOf">;
  /** Whether a connection stays as it was when another account consents than before. */
  readonly refusesOtherAccounts: boolean;
  /** Called when a provider has accepted the client of its profile. */
  readonly onAccepted: (providerId: string) => void;
}

/** What a consent brought. */
export interface KeptConsent {
  /** When the credential waits for its confirmation. */
  readonly completionCode: string | undefined;
  /** As it was before. */
  readonly connection: Connection | undefined;
  readonly scopes: readonly string[];
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
    const connection = store.getConnection(connectionId);
    const isOther = isOtherAccount(connection?.account, account);
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
    const scopes = granted.tokenSet.scopes ?? pending.scopes;
    return { completionCode: stored.completionCode, connection, scopes, account, isOther };
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
    const isReplaced = newer && mayTakePlace(pending, newer.requireConfirmation, requesterOf(newer));
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

/** The connection was revoked or deleted, or its consent was requested again, while its token was being fetched. */
export class ConsentSuperseded extends Error {}
