import type { ImportRequest } from "../../../domain/connections/import_request.js";
import {
  refuseMoreConnections,
  refuseTakenLabel,
  type StoredLimits,
} from "../../../domain/connections/state/quotas.js";
import type { CredentialVault } from "../../../domain/credentials/credential_vault.js";
import type { CredentialWriter } from "../../../domain/credentials/credential_writer.js";
import { by } from "../../../model/access/audit_event.js";
import type { Principal } from "../../../model/access/principal.js";
import { type Connection, isLive } from "../../../model/connections/connection.js";
import { newConnection } from "../../../model/connections/new_connection.js";
import { InvalidArgument, NotFound } from "../../../model/errors.js";
import { newId } from "../../../model/ids.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { IdTokenError } from "../../../oauth/id_token.js";
import type { Clock } from "../../../runtime/clock.js";
import { Secret } from "../../../runtime/secret.js";
import type { Store } from "../../../store/store.js";
import type { Transaction } from "../../../store/transaction.js";
import { type StatedIdentity, statedIdentity } from "./stated_identity.js";

/**
 * Makes connections of id_tokens alone, of people who signed in elsewhere. They are taken at the word of whoever imports them: the
 * issuer verifies what it signed when the id_token is exchanged. So they show no account.
 */
export class IdentityImporter {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly vault: CredentialVault;
      readonly writer: CredentialWriter;
      readonly clock: Clock;
      readonly limits: StoredLimits;
    },
  ) {}

  /** @throws InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable; then nothing is stored */
  async import(
    profile: ProviderProfile,
    request: ImportRequest,
    idToken: Secret,
    principal: Principal,
  ): Promise<Connection> {
    const nowMs = this.deps.clock.nowMs();
    const { subject, expiresAtMs } = this.#stated(profile, idToken, nowMs);
    const tokenSet = {
      accessToken: new Secret(""),
      refreshToken: undefined,
      tokenType: "",
      idToken,
      expiresInMs: expiresAtMs - nowMs,
      scopes: request.scopes.length > 0 ? request.scopes : profile.scopes,
      ...{ subject, account: undefined },
    };
    return await this.deps.store.commit((tx) => {
      if (tx.getProvider(profile.id)?.version !== profile.version) throw new NotFound("provider");
      const base = this.#replaced(tx, request) ?? this.#first(tx, profile, request, nowMs);
      const written = this.deps.writer.write(tx, base, profile, tokenSet, undefined);
      tx.appendAudit({
        ...{ timeMs: nowMs, type: "connection.imported" as const, ...by(principal) },
        ...{ connectionId: written.id, providerId: profile.id, revision: written.credentialRevision },
      });
      return written;
    });
  }

  /** @throws InvalidArgument */
  #stated(profile: ProviderProfile, idToken: Secret, nowMs: number): StatedIdentity {
    try {
      return statedIdentity(idToken.reveal(), profile, nowMs);
    } catch (error) {
      if (!(error instanceof IdTokenError)) throw error;
      const description = `${claimFaults[error.violation] ?? "is no id_token"}: hand over one that lives, of the client and issuer of the profile`;
      throw new InvalidArgument([{ field: "id_token", description }]);
    }
  }

  /** What is held by an id_token alone ends with it: the next one takes its place. */
  #replaced(tx: Transaction, { providerId, userId, label }: ImportRequest): Connection | undefined {
    const [first] = tx.idsNamed({ providerId, userId, label });
    const named = first === undefined ? undefined : tx.getConnection(first);
    return named && isLive(named) && this.#holdsIdTokenAlone(tx, named) ? named : undefined;
  }

  #holdsIdTokenAlone(tx: Transaction, connection: Connection): boolean {
    const stored = tx.getCredential(connection.id);
    if (!stored) return false;
    const { accessToken, refreshToken } = this.deps.vault.openCredential(connection, stored);
    return accessToken.reveal() === "" && refreshToken === undefined;
  }

  #first(tx: Transaction, profile: ProviderProfile, request: ImportRequest, nowMs: number): Connection {
    refuseMoreConnections(tx, request.userId, this.deps.limits);
    refuseTakenLabel(tx, request);
    return newConnection(newId(), request, profile, nowMs);
  }
}

const claimFaults: Readonly<Record<string, string>> = {
  iss: "is of another issuer",
  aud: "is for another client",
  azp: "is for another client",
  exp: "has ended",
  sub: "names nobody",
};
