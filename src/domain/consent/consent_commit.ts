import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import {
  authorizationLifetimeMs,
  type HeldCredential,
  type PendingAuthorization,
  requesterOf,
} from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type Account, isOtherAccount } from "../../model/credentials/account.js";
import type { SealedCredential, TokenSet } from "../../model/credentials/credential.js";
import { unlessDataLoss } from "../../model/errors.js";
import { newToken } from "../../model/ids.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { UnusableGrant } from "../../oauth/failure.js";
import type { Changes } from "../../runtime/changes.js";
import type { Secret } from "../../runtime/secret.js";
import type { Transaction } from "../../store/transaction.js";
import {
  type Composed,
  type CredentialWriter,
  changeConnection,
  consentGiven,
  takeRequest,
  type VaultParts,
} from "../connections/connections.js";
import {
  mayTakePlace,
  type PendingConsents,
  type RevocationQueue,
  type TokenSpool,
} from "../grants/grants.js";
import type { UserInfoClient } from "../token_endpoint/token_endpoint.js";
import { hashCompletionCode, type Way, ways } from "./ways.js";

type HeldTokenSet = Extract<HeldCredential, { kind: "token_set" }>;

/** A consent that was given. */
interface Consent {
  readonly way: Way;
  /** Of the pending authorization in the store. */
  readonly key: string;
  readonly pending: PendingAuthorization;
  /** As it was when the credential came. */
  readonly profile: ProviderProfile;
  readonly actor: Principal;
}

/** With the credential that it brought. */
export interface Granted extends Consent {
  readonly credential: HeldCredential;
}

/** With what a token endpoint answered. */
export interface Exchanged extends Consent {
  readonly way: "code" | "device";
  readonly tokenSet: TokenSet;
  /** Of the authorization response. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the commit of a consent has written. */
export interface Committed {
  readonly connection: Connection;
  /** When the credential waits for its confirmation; only its hash is stored. */
  readonly completionCode: string | undefined;
}

/** What a code has brought. */
export interface CommittedConsent extends Committed {
  readonly scopes: readonly string[];
  readonly account: Account | undefined;
  /** It is another than before. */
  readonly isOther: boolean;
}

export interface ConsentCommitDeps extends VaultParts {
  readonly pending: PendingConsents;
  readonly writer: CredentialWriter;
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  readonly userInfo: Pick<UserInfoClient, "accountOf">;
  /** Whether a connection stays as it was when another account consents than before. */
  readonly refusesOtherAccounts: boolean;
  /** Told when a provider has accepted the client of its profile. */
  readonly changes: Changes;
}

/** The commit of a consent, whichever way it came. */
export class ConsentCommits {
  constructor(private readonly deps: ConsentCommitDeps) {}

  /**
   * Asks whose a token set is, and commits it; until that is durable, the spool has it. The caller holds the mutex of the connection.
   *
   * @returns undefined if nobody waits for it any more: it is revoked
   * @throws UnusableGrant for another account where that is refused
   */
  async commit({ tokenSet, metadata, ...exchanged }: Exchanged): Promise<CommittedConsent | undefined> {
    const { store, spool, userInfo, refusesOtherAccounts, changes, clock } = this.deps;
    const { pending, profile } = exchanged;
    const { connectionId } = pending;
    let credential: HeldTokenSet = {
      kind: "token_set",
      tokenSet,
      binding: grantBinding(profile),
      callbackMetadata: metadata,
      receivedAtMs: clock.nowMs(),
    };
    this.#spool(exchanged, () => credential);
    const account = await userInfo.accountOf(profile, tokenSet);
    credential = { ...credential, tokenSet: { ...tokenSet, account } };
    const isOther = isOtherAccount(store.getConnection(connectionId)?.account, account);
    if (isOther && refusesOtherAccounts) {
      spool.release(connectionId);
      const why = { kind: "rejected", reason: "account_changed" } as const;
      throw new UnusableGrant(why, credential.tokenSet, tokenSet.subject);
    }
    const committed = await spool.commit(connectionId, (tx) =>
      this.commitIn(tx, { ...exchanged, credential }, isOther),
    );
    changes.emit("clientAccepted", profile.id);
    return committed && { ...committed, scopes: tokenSet.scopes ?? pending.scopes, account, isOther };
  }

  /**
   * In one transaction: takes the pending authorization, unless that was done before; makes the credential the next revision of its connection,
   * or holds it until it is confirmed; and records it.
   *
   * @param isOther another account than before consented
   * @returns undefined if nobody waits for it any more: a token set is revoked
   */
  commitIn(tx: Transaction, granted: Granted, isOther = false): Committed | undefined {
    const { way, key, pending, actor } = granted;
    const { connectionId, providerId } = pending;
    const { log, clock } = this.deps;
    const { takes, audit: type } = ways[way];
    const nowMs = clock.nowMs();
    const isTaken = takes === "before_exchange" || takeRequest(tx, key, nowMs) !== undefined;
    const connection = tx.getConnection(connectionId);
    const newer = connection?.pendingStateHash ? tx.getAuthorization(connection.pendingStateHash) : undefined;
    const isHeld = pending.requireConfirmation && !pending.held;
    const isReplaced = newer && mayTakePlace(pending, newer.requireConfirmation, requesterOf(newer));
    if (!isTaken || (isHeld && isReplaced)) return this.#drop(tx, granted, "request_replaced");
    if (!connection || connection.status === "revoked") return this.#drop(tx, granted, "connection_ended");
    const event = { timeMs: nowMs, type, ...by(actor), connectionId, providerId };
    tx.whenDurable(() =>
      log.info(
        { connectionId, providerId },
        isHeld ? "consent waits for its confirmation" : "connection is active",
      ),
    );
    if (!isHeld) {
      const written = this.#write(tx, connection, granted);
      const reason = isOther ? "account_changed" : undefined;
      tx.appendAudit({ ...event, revision: written.credentialRevision, reason });
      return { connection: written, completionCode: undefined };
    }
    // A request that was made during the exchange, and must not take the place of what waits.
    if (newer) this.deps.pending.end(tx, connection, "goes_on");
    tx.appendAudit({ ...event, reason: "awaiting_confirmation" });
    return this.#hold(tx, connection, granted);
  }

  /** Should the store fail for good. What waits for its confirmation is not worth it: its person is still there. */
  #spool(consent: Consent, credential: () => HeldTokenSet): void {
    const { store, spool } = this.deps;
    const { way, key, pending } = consent;
    const { connectionId, requireConfirmation } = pending;
    const connection = store.getConnection(connectionId);
    if (requireConfirmation || !connection || connection.status === "revoked") return;
    const stored = store.getCredential(connectionId);
    const attempt = ways[way].takes === "in_commit" ? key : undefined;
    spool.hold(connectionId, () => ({
      grant: "consent",
      ...this.#compose(connection, stored, consent, credential()),
      attempt,
    }));
  }

  /** The next revision of `connection`, which was read in `tx`. */
  #write(tx: Transaction, connection: Connection, granted: Granted): Connection {
    const { writer } = this.deps;
    const { profile, credential } = granted;
    if (credential.kind === "token_set") {
      const stored = tx.getCredential(connection.id);
      return writer.put(tx, this.#compose(connection, stored, granted, credential));
    }
    const given = withConsent(connection, granted, connection.metadata);
    return writer.writeFields(tx, given, profile, credential);
  }

  /** What `#write` writes of a token set. */
  #compose(
    connection: Connection,
    stored: SealedCredential | undefined,
    consent: Consent,
    { tokenSet, callbackMetadata, ...credential }: HeldTokenSet,
  ): Composed {
    const { profile } = consent;
    const given = withConsent(connection, consent, callbackMetadata);
    const refreshToken =
      tokenSet.refreshToken ?? this.#keptRefreshToken(connection, stored, profile, tokenSet);
    // Its lifetimes count from when it came. The clock may have been set back since.
    const receivedAtMs = Math.min(credential.receivedAtMs, this.deps.clock.nowMs());
    return this.deps.writer.compose({
      connection: given,
      profile,
      tokenSet: { ...tokenSet, refreshToken },
      receivedAtMs,
    });
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

  /**
   * Puts the credential aside, sealed, until it is confirmed. Nothing that the connection holds is touched: its own credential serves on.
   *
   * @param connection read in `tx`, without a pending authorization
   */
  #hold(tx: Transaction, connection: Connection, { pending, credential: held }: Granted): Committed {
    const nowMs = this.deps.clock.nowMs();
    const completionCode = newToken();
    const key = hashCompletionCode(completionCode);
    const expiresAtMs = nowMs + authorizationLifetimeMs;
    const nothing = { codeVerifier: "", nonce: undefined, browserBinding: "", state: "" };
    const waits = { ...pending, expiresAtMs, held: true, failedConfirmations: 0 };
    const sealed = this.deps.vault.sealAuthorization(key, waits, { ...nothing, held });
    tx.putAuthorization(key, { ...waits, sealed });
    const wasOver = connection.status === "failed" || connection.status === "expired";
    const waiting = changeConnection(
      connection,
      {
        ...(wasOver ? { status: "pending", problem: undefined } : {}),
        pendingStateHash: key,
        requestExpiresAtMs: expiresAtMs,
        awaitingConfirmation: true,
      },
      nowMs,
    );
    tx.putConnection(waiting);
    return { completionCode, connection: waiting };
  }

  /** Nobody waits for it any more: a token set is revoked. */
  #drop(tx: Transaction, granted: Granted, reason: "connection_ended" | "request_replaced"): undefined {
    const { pending, credential, actor } = granted;
    if (credential.kind !== "token_set") return;
    const { connectionId, providerId } = pending;
    const event = { timeMs: this.deps.clock.nowMs(), ...by(actor), connectionId, providerId };
    tx.appendAudit({ ...event, type: "token_storage_failed", reason });
    const place = { connectionId, providerId, revision: 0n, binding: credential.binding };
    this.deps.revocations.enqueue(tx, place, credential.tokenSet);
  }
}

/** The connection with what its user has consented to. It may be for another profile than before. */
function withConsent(
  connection: Connection,
  { pending: { scopes }, profile }: Consent,
  metadata: Readonly<Record<string, string>>,
): Connection {
  return consentGiven(connection, {
    ...connection,
    providerId: profile.id,
    providerName: profile.name,
    requestedScopes: scopes,
    consentedScopes: scopes,
    metadata,
  });
}
