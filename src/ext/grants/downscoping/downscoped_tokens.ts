import type { CurrentToken } from "../../../domain/credentials/credential_reader.js";
import { precondition } from "../../../domain/tokens/demanded_refresh.js";
import type { ReadAudit } from "../../../domain/tokens/read_audit.js";
import type { Tokens } from "../../../domain/tokens/tokens.js";
import type { Principal } from "../../../model/access/principal.js";
import type { Connection } from "../../../model/connections/connection.js";
import type { TokenSet } from "../../../model/credentials/credential.js";
import { NotFound } from "../../../model/errors.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { jwtExpiryMs } from "../../../oauth/access_token.js";
import type { Clock } from "../../../runtime/clock.js";
import { SingleFlight } from "../../../runtime/single_flight.js";
import type { Store } from "../../../store/store.js";
import { keyText, type NarrowedTokenCache } from "./downscoped_token_cache.js";
import type { TokenExchanger } from "./token_exchanger.js";
import { admittedNarrowing, boundSubject, type Narrowing, narrowingText } from "./token_target.js";

export interface NarrowedTokensDeps {
  readonly store: Pick<Store, "getConnection" | "getProvider">;
  readonly tokens: Pick<Tokens, "subject">;
  readonly exchanger: Pick<TokenExchanger, "exchange">;
  readonly cache: NarrowedTokenCache;
  readonly narrowedAudit: Pick<ReadAudit, "read" | "refused">;
  readonly clock: Clock;
}

/** Tokens that may less than their connection. Each read is recorded before its token leaves. */
export class NarrowedTokens {
  readonly #flights = new SingleFlight<string, CurrentToken>();

  constructor(private readonly deps: NarrowedTokensDeps) {}

  /**
   * A token for what is asked: the same as before while it lives and its subject is the connection's credential; requests at the same time
   * share one exchange.
   *
   * @param minTtlMs wished remaining lifetime, as of `Tokens.getToken`
   * @throws InvalidArgument, NotFound, FailedPrecondition, DataLoss; Unavailable, also when the read cannot be recorded
   */
  async get(
    connectionId: string,
    asked: Narrowing,
    minTtlMs: number,
    principal: Principal,
  ): Promise<CurrentToken> {
    const { narrowedAudit } = this.deps;
    let token: CurrentToken;
    try {
      token = await this.#current(connectionId, asked, minTtlMs, principal);
    } catch (error) {
      await narrowedAudit.refused(principal, connectionId, error);
      throw error;
    }
    const recorded = narrowedAudit.read(principal, connectionId, token.revision, 1, narrowingText(asked));
    if (recorded !== undefined) await recorded;
    return token;
  }

  async #current(
    connectionId: string,
    asked: Narrowing,
    minTtlMs: number,
    principal: Principal,
  ): Promise<CurrentToken> {
    const { store, tokens, cache, clock } = this.deps;
    const subject = await tokens.subject(connectionId, minTtlMs);
    const connection = store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const profile = store.getProvider(connection.providerId);
    if (!profile) throw precondition("PROVIDER_DELETED", "provider_deleted");
    if (subject.dpopKey !== undefined) throw boundSubject(profile);
    const narrowing = admittedNarrowing(asked, profile, connection);
    const { credentialRevision: revision } = connection;
    const { version } = profile;
    const key = keyText({ connectionId, revision, version, actor: principal.name, ...narrowing });
    const cached = cache.get(key, minTtlMs, clock.nowMs());
    return (
      cached ?? (await this.#flights.run(key, () => this.#exchanged(connection, profile, narrowing, key)))
    );
  }

  async #exchanged(
    connection: Connection,
    profile: ProviderProfile,
    narrowing: Narrowing,
    key: string,
  ): Promise<CurrentToken> {
    const { exchanger, cache, clock, store, tokens } = this.deps;
    const tokenSet = await exchanger.exchange(connection, profile, narrowing, `narrowed ${key}`);
    const now = store.getConnection(connection.id);
    const isSame = now?.credentialRevision === connection.credentialRevision;
    // Its end moves where the clock was set meanwhile.
    const token = narrowedToken(tokenSet, isSame ? now : connection, profile, narrowing, clock.nowMs());
    if (isSame && now.status === "active") {
      cache.put(key, connection.id, token, clock.nowMs());
    } else {
      // It may have been revoked meanwhile: then there is no token for anybody.
      await tokens.subject(connection.id, 0);
    }
    return token;
  }
}

function narrowedToken(
  { accessToken, expiresInMs, scopes, tokenType }: TokenSet,
  connection: Connection,
  { strategy }: ProviderProfile,
  narrowing: Narrowing,
  nowMs: number,
): CurrentToken {
  const text = accessToken.reveal();
  const ownEndMs = expiresInMs === undefined ? jwtExpiryMs(text, nowMs) : nowMs + expiresInMs;
  const ends = [ownEndMs, connection.expiresAtMs].filter((end) => end !== undefined);
  return {
    strategy,
    credentials: strategy.kind === "oauth2" ? { [strategy.credentialField]: text } : {},
    expiresAtMs: ends.length === 0 ? undefined : Math.min(...ends),
    refreshNotBeforeMs: undefined,
    grantedScopes: scopes ?? narrowing.scopes,
    revision: connection.credentialRevision,
    tokenType,
    idToken: undefined,
    dpopKey: undefined,
  };
}
