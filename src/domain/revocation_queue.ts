import type { Connection } from "../model/connection.js";
import type { Credential } from "../model/credential.js";
import { DataLoss } from "../model/errors.js";
import { grantBinding } from "../model/grant_binding.js";
import { newId } from "../model/ids.js";
import { daemon } from "../model/principal.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Clock } from "../runtime/clock.js";
import type { Transaction } from "../store/transaction.js";
import type { CredentialVault } from "./credential_vault.js";
import { revocationPlace } from "./sealed_place.js";

/** To which credential a token belonged. */
export interface RevokedPlace {
  readonly connectionId: string;
  readonly providerId: string;
  readonly revision: bigint;
  /** `grantBinding` of the profile that it was obtained with; undefined when that is not known. */
  readonly binding?: string | undefined;
}

/**
 * Queues tokens for revocation at their provider, in the commit that ends what they were for. Nothing is queued where nobody can be
 * asked: the profile is gone, or names no revocation endpoint and leaves none to discovery.
 */
export class RevocationQueue {
  readonly #vault: CredentialVault;
  readonly #clock: Clock;

  constructor(options: { vault: CredentialVault; clock: Clock }) {
    this.#vault = options.vault;
    this.#clock = options.clock;
  }

  /** What a connection holds, while it still does. */
  enqueueStored(tx: Transaction, connection: Connection): void {
    const place = {
      connectionId: connection.id,
      providerId: connection.providerId,
      revision: connection.credentialRevision,
    };
    try {
      const stored = tx.getCredential(connection.id);
      if (!stored || !canRevoke(tx.getProvider(connection.providerId))) return;
      const credential = this.#vault.openCredential(connection, stored);
      this.enqueue(tx, { ...place, binding: credential.binding }, credential);
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      tx.appendAudit({
        timeMs: this.#clock.nowMs(),
        type: "revocation_given_up",
        principal: daemon.name,
        ...place,
        reason: "data_loss",
      });
    }
  }

  /**
   * What a refresh brought for a connection that was revoked or deleted meanwhile. A connection that only moved on holds a newer
   * consent, which at many providers would die with the token.
   */
  enqueueLate(
    tx: Transaction,
    connection: Connection,
    answer: Pick<Credential, "accessToken" | "refreshToken">,
    redeemed: Pick<Credential, "refreshToken" | "binding">,
  ): undefined {
    const current = tx.getConnection(connection.id);
    if (current && current.status !== "revoked") return undefined;
    const { id: connectionId, providerId, credentialRevision: revision } = connection;
    const refreshToken = answer.refreshToken ?? redeemed.refreshToken;
    const { accessToken } = answer;
    const place = { connectionId, providerId, revision, binding: redeemed.binding };
    this.enqueue(tx, place, { accessToken, refreshToken });
    return undefined;
  }

  /** The refresh token, and with it the grant (RFC 7009 section 2.1); the access token where there is no other. */
  enqueue(
    tx: Transaction,
    place: RevokedPlace,
    credential: Pick<Credential, "accessToken" | "refreshToken">,
  ): void {
    const profile = tx.getProvider(place.providerId);
    if (!canRevoke(profile)) return;
    const token = credential.refreshToken ?? credential.accessToken;
    if (token.reveal() === "") return;
    const nowMs = this.#clock.nowMs();
    const { connectionId, providerId, revision, binding = grantBinding(profile) } = place;
    if (binding !== grantBinding(profile)) {
      // The profile names somebody else now, who must not get it.
      const event = { timeMs: nowMs, principal: daemon.name, connectionId, providerId, revision };
      tx.appendAudit({ ...event, type: "revocation_given_up", reason: "provider_changed" });
      return;
    }
    const id = newId();
    tx.putRevocation({
      id,
      connectionId,
      providerId,
      revision,
      tokenTypeHint: credential.refreshToken ? "refresh_token" : "access_token",
      attempts: 0,
      createdAtMs: nowMs,
      nextAttemptMs: nowMs,
      sealed: this.#vault.sealToken(revocationPlace({ id, ...place }), token),
      binding,
    });
  }
}

function canRevoke(profile: ProviderProfile | undefined): profile is ProviderProfile {
  if (profile?.authType !== "oauth2") return false;
  return profile.oauth2.revocationUrl !== "" || profile.enableDiscovery;
}
