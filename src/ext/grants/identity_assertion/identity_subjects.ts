import type { CredentialVault } from "../../../domain/connections/connections.js";
import { type Connection, grantBinding, type UserAccount } from "../../../model/connections/connections.js";
import { DataLoss } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { claimsOf, GrantFailure, IdentityRequired } from "../../../oauth/oauth.js";
import type { Clock, Secret } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";

/** Who stands behind a connection: a person, signed in at an identity provider. */
export interface IdentitySubject {
  /** Of the identity provider. */
  readonly profile: ProviderProfile;
  /** To the identity provider. */
  readonly connection: Connection;
  readonly idToken: Secret;
}

/** An id_token must live so long, for the way to the identity provider and for clocks that differ. */
const leadMs = 10_000;
/** One that ends within so long is renewed before a request that may have to wait. */
const renewalLeadMs = 60_000;

/** Finds the connections at identity providers whose id_tokens are exchanged for others. */
export class IdentitySubjects {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly vault: CredentialVault;
      readonly clock: Clock;
    },
  ) {}

  /** @throws IdentityRequired when there is none with an id_token that lives; GrantFailure of kind `transient` when another can be had */
  of(profile: ProviderProfile, asserted: UserAccount): IdentitySubject {
    const name = profile.identityProvider;
    const identityProvider = this.deps.store.findProviderByName(name);
    if (!identityProvider) throw new IdentityRequired(`register the identity provider ${name}`);
    const connection = this.connectionOf(identityProvider, asserted);
    if (!connection) throw new IdentityRequired(`connect ${name} for this user`);
    const held = this.#held(connection, identityProvider);
    if (held && held.endMs > this.deps.clock.nowMs() + leadMs)
      return { profile: identityProvider, connection, idToken: held.idToken };
    // It lived at the last refresh: another refresh brings another one.
    if (connection.refreshable && held && held.endMs > (connection.issuedAtMs ?? 0) + renewalLeadMs)
      throw new GrantFailure({ kind: "transient", detail: `the id_token of ${name} has just ended` });
    throw new IdentityRequired(`the connection to ${name} has no id_token that lives: connect it again`);
  }

  /** The connection that is to be refreshed before a token can be minted: it can, and its id_token has ended. */
  toRenew(connection: Connection, profile: ProviderProfile): string | undefined {
    const identityProvider = this.deps.store.findProviderByName(profile.identityProvider);
    if (!identityProvider) return undefined;
    const subject = this.connectionOf(identityProvider, connection);
    if (!subject?.refreshable) return undefined;
    const { endMs = 0 } = this.#held(subject, identityProvider) ?? {};
    return endMs <= this.deps.clock.nowMs() + renewalLeadMs ? subject.id : undefined;
  }

  /** Whether a token can be minted without the user, as far as that is known here. */
  isUsable({ identityProvider }: ProviderProfile, asserted: UserAccount): boolean {
    const profile = this.deps.store.findProviderByName(identityProvider);
    const connection = profile && this.connectionOf(profile, asserted);
    if (!connection) return false;
    const { endMs = 0 } = this.#held(connection, profile) ?? {};
    return connection.refreshable || endMs > this.deps.clock.nowMs() + leadMs;
  }

  /** The active one of the user: with the same label if there is one, else without a label. */
  connectionOf({ id: providerId }: ProviderProfile, { userId, label }: UserAccount): Connection | undefined {
    for (const wanted of new Set([label, ""])) {
      for (const id of this.deps.store.idsNamed({ providerId, userId, label: wanted })) {
        const connection = this.deps.store.getConnection(id);
        if (connection?.status === "active") return connection;
      }
    }
    return undefined;
  }

  /** Undefined where there is none, and where it belongs to another client than the profile names now. */
  #held(
    connection: Connection,
    profile: ProviderProfile,
  ): { readonly idToken: Secret; readonly endMs: number } | undefined {
    const stored = this.deps.store.getCredential(connection.id);
    if (!stored) return undefined;
    try {
      const { idToken, binding } = this.deps.vault.openCredential(connection, stored);
      if (idToken === undefined || (binding !== undefined && binding !== grantBinding(profile)))
        return undefined;
      const exp = claimsOf(idToken.reveal())?.["exp"];
      return typeof exp === "number" ? { idToken, endMs: exp * 1000 } : undefined;
    } catch (error) {
      if (error instanceof DataLoss) return undefined;
      throw error;
    }
  }
}
