import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type Account, isOtherAccount } from "../../model/credentials/account.js";
import { callbackMetadata } from "../../model/providers/connection_metadata.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { UnusableGrant } from "../../oauth/failure.js";
import type { Clock } from "../../runtime/clock.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { Store } from "../../store/store.js";
import type { Transaction } from "../../store/transaction.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { RevocationQueue } from "../grants/revocation_queue.js";
import type { TokenEndpointClient } from "../grants/token_endpoint_client.js";
import type { TokenSpool } from "../grants/token_spool.js";
import type { UserInfoClient } from "../grants/user_info_client.js";
import { ConsentHolder } from "./consent_holder.js";
import { type Consented, ConsentWriter } from "./consent_writer.js";

/** What a code brought. */
export interface Redeemed {
  /** When the credential waits for its confirmation. */
  readonly completionCode: string | undefined;
  readonly account: Account | undefined;
  /** It is another than before. */
  readonly isOther: boolean;
}

/** Exchanges the code of an authorization response, and stores what it brings. */
export class CodeRedemption {
  readonly #store: Pick<Store, "commit" | "getConnection" | "getCredential">;
  readonly #grants: Pick<TokenEndpointClient, "exchangeCode">;
  readonly #revocations: Pick<RevocationQueue, "enqueue">;
  readonly #consents: ConsentWriter;
  readonly #holder: ConsentHolder;
  readonly #spool: Pick<TokenSpool, "hold" | "release">;
  readonly #userInfo: Pick<UserInfoClient, "accountOf">;
  readonly #refusesOtherAccounts: boolean;
  readonly #onAccepted: (providerId: string) => void;
  readonly #locks: KeyedMutex<string>;
  readonly #clock: Clock;

  constructor(options: {
    store: Pick<Store, "commit" | "getConnection" | "getCredential">;
    vault: CredentialVault;
    writer: CredentialWriter;
    grants: Pick<TokenEndpointClient, "exchangeCode">;
    revocations: Pick<RevocationQueue, "enqueue">;
    /** Holds a token set until it is durable. */
    spool: Pick<TokenSpool, "hold" | "release">;
    userInfo: Pick<UserInfoClient, "accountOf">;
    /** Whether a connection stays as it was when another account consents than before. */
    refusesOtherAccounts: boolean;
    /** Called when a provider has accepted the client of its profile. */
    onAccepted: (providerId: string) => void;
    /** Shared with the refresher: one token request per connection. */
    locks: KeyedMutex<string>;
    clock: Clock;
  }) {
    this.#store = options.store;
    this.#grants = options.grants;
    this.#revocations = options.revocations;
    this.#consents = new ConsentWriter(options);
    this.#holder = new ConsentHolder(options);
    this.#spool = options.spool;
    this.#userInfo = options.userInfo;
    this.#refusesOtherAccounts = options.refusesOtherAccounts;
    this.#onAccepted = options.onAccepted;
    this.#locks = options.locks;
    this.#clock = options.clock;
  }

  /**
   * The exchange and its commit, alone for this connection.
   *
   * @param params as `processAuthorizationResponse` answered them
   * @throws GrantFailure, of another account too where that is refused; ConsentSuperseded
   */
  async redeem(
    pending: PendingAuthorization,
    profile: ProviderProfile,
    server: AuthorizationServer,
    params: URLSearchParams,
    secret: AuthorizationSecret,
    visitor: Principal,
  ): Promise<Redeemed> {
    return await this.#locks.run(pending.connectionId, async () => {
      const granted = await this.#grants.exchangeCode({
        server,
        profile,
        params,
        redirectUri: pending.redirectUri,
        codeVerifier: secret.codeVerifier,
        nonce: secret.nonce,
      });
      const account = await this.#userInfo.accountOf(profile, granted);
      const tokenSet = { ...granted, account };
      const isOther = isOtherAccount(this.#store.getConnection(pending.connectionId)?.account, account);
      if (isOther && this.#refusesOtherAccounts) {
        const why = { kind: "rejected", reason: "account_changed" } as const;
        throw new UnusableGrant(why, tokenSet, tokenSet.subject);
      }
      const metadata = callbackMetadata(params, profile.oauth2.callbackMetadata);
      const consented = { pending, profile, tokenSet, metadata };
      const receivedAtMs = this.#clock.nowMs();
      this.#hold(consented, receivedAtMs);
      const stored = await this.#store.commit((tx) =>
        this.#keep(tx, consented, receivedAtMs, { visitor, isOther }),
      );
      this.#spool.release(pending.connectionId);
      this.#onAccepted(profile.id);
      if (stored === "superseded") throw new ConsentSuperseded();
      return { completionCode: stored.completionCode, account, isOther };
    });
  }

  /** For spool, should the store fail for good. What waits for its confirmation is not worth it: its person is still there. */
  #hold(consented: Consented, receivedAtMs: number): void {
    const { connectionId, requireConfirmation } = consented.pending;
    const connection = this.#store.getConnection(connectionId);
    if (requireConfirmation || !connection || connection.status === "revoked") return;
    const stored = this.#store.getCredential(connectionId);
    this.#spool.hold(connectionId, () => ({
      grant: "consent",
      ...this.#consents.compose(connection, stored, consented, receivedAtMs),
    }));
  }

  #keep(
    tx: Transaction,
    consented: Consented,
    receivedAtMs: number,
    { visitor, isOther }: { readonly visitor: Principal; readonly isOther: boolean },
  ): "superseded" | { readonly completionCode: string | undefined } {
    const { pending, profile, tokenSet, metadata } = consented;
    const binding = grantBinding(profile);
    const { connectionId, providerId } = pending;
    const nowMs = this.#clock.nowMs();
    const event = { timeMs: nowMs, ...by(visitor), connectionId, providerId };
    const connection = tx.getConnection(connectionId);
    const isEnded = !connection || connection.status === "revoked";
    // The place for what waits is that of the newest request.
    if (isEnded || (pending.requireConfirmation && connection.pendingStateHash !== undefined)) {
      const reason = isEnded ? "connection_ended" : "request_replaced";
      tx.appendAudit({ ...event, type: "token_storage_failed", reason });
      this.#revocations.enqueue(tx, { ...event, revision: 0n, binding }, tokenSet);
      return "superseded";
    }
    if (!pending.requireConfirmation) {
      const written = this.#consents.write(tx, connection, consented, receivedAtMs);
      const said = isOther ? { reason: "account_changed" } : {};
      const revision = written.credentialRevision;
      tx.appendAudit({ ...event, type: "oauth_flow_completed", revision, ...said });
      return { completionCode: undefined };
    }
    const { completionCode } = this.#holder.hold(tx, connection, pending, {
      kind: "token_set",
      tokenSet,
      binding,
      callbackMetadata: metadata,
      receivedAtMs,
    });
    tx.appendAudit({ ...event, type: "oauth_flow_completed", reason: "awaiting_confirmation" });
    return { completionCode };
  }
}

/** The connection was revoked or deleted, or a confirmed consent was requested anew, while its code was being exchanged. */
export class ConsentSuperseded extends Error {}
