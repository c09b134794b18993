import { daemon } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import type { ProviderRevocation, RevokedPlace } from "../../model/connections/revocation.js";
import type { Credential, TokenSet } from "../../model/credentials/credential.js";
import { DataLoss } from "../../model/errors.js";
import { newId } from "../../model/ids.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import { unlessUnreadable } from "../../store/records/unreadable.js";
import type { Transaction } from "../../store/transaction.js";
import { type CredentialVault, revocationPlace } from "../connections/connections.js";

/** What is revoked, with the lifetime that its access token has left; undefined when that is not known. */
type RevokedTokens = Credential & Partial<TokenSet>;

/** What becomes of tokens that are to be revoked: it is only known later of those that are queued. */
export type QueuedRevocation = Exclude<ProviderRevocation, "done">;

/**
 * Queues tokens for revocation at their provider, in the commit that ends what they were for. Nothing is queued where nobody can be
 * asked: the profile is gone, or names no revocation endpoint and leaves none to discovery.
 */
export class RevocationQueue {
  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly changes: Changes;
      readonly clock: Clock;
    },
  ) {}

  /** What a connection holds, while it still does. */
  enqueueStored(tx: Transaction, connection: Connection): QueuedRevocation {
    const place = {
      connectionId: connection.id,
      providerId: connection.providerId,
      revision: connection.credentialRevision,
    };
    return this.unlessUnreadable(tx, place, () => {
      const stored = tx.getCredential(connection.id);
      if (!stored) return "not_needed";
      const profile = tx.getProvider(connection.providerId);
      if (!canRevoke(profile)) return withoutQueue(profile);
      const credential = this.deps.vault.openCredential(connection, stored);
      const { expiresAtMs } = connection;
      const expiresInMs = expiresAtMs === undefined ? undefined : expiresAtMs - this.deps.clock.nowMs();
      return this.enqueue(tx, { ...place, binding: credential.binding }, { ...credential, expiresInMs });
    });
  }

  /** What `read` answers; where it cannot open what is stored, that is given up. */
  unlessUnreadable(tx: Transaction, place: RevokedPlace, read: () => QueuedRevocation): QueuedRevocation {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      return this.#giveUp(tx, place, "data_loss");
    }
  }

  #giveUp(
    tx: Transaction,
    { connectionId, providerId, revision }: RevokedPlace,
    reason: "data_loss" | "provider_changed",
  ): "not_possible" {
    const event = {
      timeMs: this.deps.clock.nowMs(),
      principal: daemon.name,
      connectionId,
      providerId,
      revision,
    };
    tx.appendAudit({ ...event, type: "revocation_given_up", reason });
    return "not_possible";
  }

  /**
   * What a refresh brought for a connection that was revoked or deleted meanwhile. A connection that only moved on holds a newer
   * consent, which at many providers would die with the token.
   */
  enqueueLate(
    tx: Transaction,
    connection: Connection,
    answer: RevokedTokens,
    redeemed: Pick<Credential, "refreshToken" | "binding">,
  ): undefined {
    const current = tx.getConnection(connection.id);
    if (current && current.status !== "revoked") return undefined;
    const { id: connectionId, providerId, credentialRevision: revision } = connection;
    const refreshToken = answer.refreshToken ?? redeemed.refreshToken;
    const place = { connectionId, providerId, revision, binding: redeemed.binding };
    const providerRevocation = this.enqueue(tx, place, { ...answer, refreshToken });
    if (current) tx.putUnannounced({ ...current, providerRevocation });
    return undefined;
  }

  /** The refresh token, and with it the grant (RFC 7009 section 2.1); the access token where there is no other. */
  enqueue(tx: Transaction, place: RevokedPlace, credential: RevokedTokens): QueuedRevocation {
    const profile = unlessUnreadable(() => tx.getProvider(place.providerId));
    if (!canRevoke(profile)) return withoutQueue(profile);
    const token = credential.refreshToken ?? credential.accessToken;
    // What is known of the end of a refresh token may be too early: see `CredentialWriter`.
    const expiresInMs = credential.refreshToken ? undefined : credential.expiresInMs;
    if (token.reveal() === "" || (expiresInMs !== undefined && expiresInMs <= 0)) return "not_needed";
    const nowMs = this.deps.clock.nowMs();
    const { connectionId, providerId, revision, binding = grantBinding(profile) } = place;
    // The profile names another client or server now, which must not get the token.
    if (binding !== grantBinding(profile)) return this.#giveUp(tx, place, "provider_changed");
    const id = newId();
    tx.whenDurable(() => this.deps.changes.emit("revocationQueued"));
    tx.revocations.put({
      id,
      connectionId,
      providerId,
      revision,
      tokenTypeHint: credential.refreshToken ? "refresh_token" : "access_token",
      attempts: 0,
      createdAtMs: nowMs,
      nextAttemptMs: nowMs,
      sealed: this.deps.vault.sealToken(revocationPlace(id, place), token),
      binding,
      tokenExpiresAtMs: expiresInMs === undefined ? undefined : nowMs + expiresInMs,
    });
    return "pending";
  }
}

/** Static credentials: no provider revokes them. */
function withoutQueue(profile: ProviderProfile | undefined): QueuedRevocation {
  return profile !== undefined && profile.authType !== "oauth2" ? "not_needed" : "not_possible";
}

function canRevoke(profile: ProviderProfile | undefined): profile is ProviderProfile {
  if (profile?.authType !== "oauth2") return false;
  return profile.oauth2.revocationUrl !== "" || profile.enableDiscovery;
}
