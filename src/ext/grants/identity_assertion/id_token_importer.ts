import { refuseMoreConnections, refuseTakenLabel } from "../../../domain/connections/connections.js";
import type { GrantParts, IdTokenImport } from "../../../domain/token_endpoint/token_endpoint.js";
import { by, type Principal } from "../../../model/access/access.js";
import { type Connection, isLive, newConnection } from "../../../model/connections/connections.js";
import { InvalidArgument, NotFound, newId } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { claimsOf, IdTokenError, jwtExpiryMs } from "../../../oauth/oauth.js";
import { Secret } from "../../../runtime/runtime.js";
import type { Transaction } from "../../../store/store.js";

/**
 * Makes connections of id_tokens alone, of people who signed in to another application. They are taken at the word of the caller that imports them: the
 * issuer verifies what it signed when the id_token is exchanged. So they show no account.
 */
export class IdTokenImporter {
  constructor(private readonly deps: GrantParts) {}

  /** @throws InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable; then nothing is stored */
  async import(
    profile: ProviderProfile,
    request: IdTokenImport,
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
      const written = this.deps.writer.write(tx, {
        connection: base,
        profile,
        tokenSet,
        receivedAtMs: nowMs,
      });
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
  #replaced(tx: Transaction, { providerId, userId, label }: IdTokenImport): Connection | undefined {
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

  #first(tx: Transaction, profile: ProviderProfile, request: IdTokenImport, nowMs: number): Connection {
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

/** What an id_token says, on the word of the caller that hands it over. */
interface StatedIdentity {
  readonly subject: string;
  readonly expiresAtMs: number;
}

/**
 * The claims of an id_token that another application got (OpenID Connect Core 1.0 section 3.1.3.7, steps 2, 3, 5 and 9). Its signature is
 * left to the issuer, to which alone it is sent.
 *
 * @throws IdTokenError
 */
function statedIdentity(
  idToken: string,
  { issuer, clientId }: { readonly issuer: string; readonly clientId: string },
  nowMs: number,
): StatedIdentity {
  const claims = claimsOf(idToken) ?? {};
  const { iss, aud, azp, sub } = claims;
  if (iss === undefined) throw new IdTokenError("malformed");
  if (iss !== issuer) throw new IdTokenError("iss");
  if (aud !== clientId && !(Array.isArray(aud) && aud.includes(clientId))) throw new IdTokenError("aud");
  if (azp !== undefined && azp !== clientId) throw new IdTokenError("azp");
  if (typeof sub !== "string" || sub === "" || sub.length > 255) throw new IdTokenError("sub");
  const expiresAtMs = jwtExpiryMs(idToken, nowMs);
  if (expiresAtMs === undefined) throw new IdTokenError("exp");
  return { subject: sub, expiresAtMs };
}
