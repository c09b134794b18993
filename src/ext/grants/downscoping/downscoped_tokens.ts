import type { TokenPurpose } from "../../../domain/access/access.js";
import type { CurrentToken } from "../../../domain/connections/connections.js";
import {
  type Downscoping,
  type DownscopingParts,
  precondition,
  type TokenTarget,
} from "../../../domain/reading/reading.js";
import type { Principal } from "../../../model/access/access.js";
import type { Connection } from "../../../model/connections/connections.js";
import type { TokenSet } from "../../../model/credentials/credentials.js";
import { NotFound } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { jwtExpiryMs } from "../../../oauth/oauth.js";
import { SingleFlight } from "../../../runtime/runtime.js";
import { type Actor, actorOf } from "../token_exchange.js";
import { DownscopedTokenCache, keyText } from "./downscoped_token_cache.js";
import { TokenExchanger } from "./token_exchanger.js";
import { admittedTarget, boundSubject, refuseWiderAnswer, targetText } from "./token_target.js";

/** Tokens that may do less than their connection's. Each read is recorded before its token leaves. */
export class DownscopedTokens implements Downscoping {
  readonly #flights = new SingleFlight<string, CurrentToken>();
  readonly #cache: DownscopedTokenCache;
  readonly #exchanger: TokenExchanger;

  constructor(private readonly deps: DownscopingParts) {
    this.#cache = new DownscopedTokenCache(deps.changes);
    this.#exchanger = new TokenExchanger(deps);
  }

  /**
   * A token for what is asked: the same as before while it lives and its subject is the connection's credential; requests at the same time
   * share one exchange.
   *
   * @param minTtlMs wished remaining lifetime, as of `Tokens.getToken`
   * @throws InvalidArgument, NotFound, FailedPrecondition, DataLoss; Unavailable, also when the read cannot be recorded
   */
  async get(
    connectionId: string,
    wanted: TokenTarget,
    minTtlMs: number,
    principal: Principal,
    asking?: TokenPurpose,
  ): Promise<CurrentToken> {
    const { downscopedAudit, tokens } = this.deps;
    const use = await tokens.admitted(principal, connectionId, asking);
    return await tokens.used(use, () =>
      downscopedAudit.obtained({ principal, connectionId, use, reason: targetText(wanted) }, () =>
        this.#current(connectionId, wanted, minTtlMs, principal),
      ),
    );
  }

  async #current(
    connectionId: string,
    wanted: TokenTarget,
    minTtlMs: number,
    principal: Principal,
  ): Promise<CurrentToken> {
    const { store, tokens, clock } = this.deps;
    const subject = await tokens.subject(connectionId, minTtlMs);
    const connection = store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    const profile = store.getProvider(connection.providerId);
    if (!profile) throw precondition("PROVIDER_DELETED", "provider_deleted");
    if (subject.dpopKey !== undefined) throw boundSubject(profile);
    const target = admittedTarget(wanted, profile, connection);
    const { credentialRevision: revision } = connection;
    const { version } = profile;
    const actor = actorOf(principal);
    const key = keyText({ connectionId, revision, version, actor, ...target });
    const cached = this.#cache.get(key, minTtlMs, clock.nowMs());
    const exchange = () => this.#exchanged(connection, profile, { ...target, actor }, key);
    return cached ?? (await this.#flights.run(key, exchange));
  }

  async #exchanged(
    connection: Connection,
    profile: ProviderProfile,
    target: TokenTarget & { readonly actor: Actor },
    key: string,
  ): Promise<CurrentToken> {
    const { clock, store, tokens } = this.deps;
    const tokenSet = await this.#exchanger.exchange(connection, profile, target, `downscoped ${key}`);
    refuseWiderAnswer(tokenSet, target, profile, connection);
    const now = store.getConnection(connection.id);
    const isSame = now?.credentialRevision === connection.credentialRevision;
    // Its end moves where the clock was set meanwhile.
    const token = downscopedToken(tokenSet, isSame ? now : connection, profile, target, clock.nowMs());
    if (isSame && now.status === "active") {
      this.#cache.put(key, connection.id, token, clock.nowMs());
    } else {
      // It may have been revoked meanwhile: then there is no token for anybody.
      await tokens.subject(connection.id, 0);
    }
    return token;
  }
}

function downscopedToken(
  { accessToken, expiresInMs, scopes, tokenType }: TokenSet,
  connection: Connection,
  { strategy }: ProviderProfile,
  target: TokenTarget,
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
    grantedScopes: scopes ?? target.scopes,
    revision: connection.credentialRevision,
    tokenType,
    idToken: undefined,
    dpopKey: undefined,
  };
}
