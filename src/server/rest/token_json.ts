import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { strategyConfig } from "../../model/credentials/strategy_config.js";
import type { JsonObject } from "../../model/json.js";
import { strategyOf } from "../../model/providers/strategy_message.js";

/** 9999-12-31T23:59:59Z. Clients of the existing Nexus take a static credential without an end as expired. */
const neverSeconds = 253_402_300_799;

/**
 * A token as the existing contract writes it: for `oauth2` with the members of `credentials` laid flat at the root too. At the root
 * `expires_at` is in Unix seconds and `expires_in` in seconds from now; in `credentials` `expires_at` is RFC 3339. Both are absent where
 * the provider of an `oauth2` token did not say when it ends.
 */
export function tokenJson(token: Token | undefined, nowMs: number): JsonObject {
  const strategy = strategyOf(token?.strategy);
  if (!token || !strategy) throw new Error("a token without a strategy");
  const type = { type: strategy.kind, config: strategyConfig(strategy) };
  if (strategy.kind !== "oauth2") {
    const expiresAt = token.expiresAt ? Number(token.expiresAt.seconds) : neverSeconds;
    return { strategy: type, credentials: { ...token.credentials }, expires_at: expiresAt };
  }
  const seconds = token.expiresAt && Number(token.expiresAt.seconds);
  const leftSeconds = seconds === undefined ? undefined : Math.floor(seconds - nowMs / 1_000);
  const credentials: JsonObject = {
    ...token.credentials,
    token_type: token.tokenType === "" ? "Bearer" : token.tokenType,
    ...(token.grantedScopes.length > 0 && { scope: token.grantedScopes.join(" ") }),
    ...(token.idToken !== "" && { id_token: token.idToken }),
    ...(seconds !== undefined && {
      expires_at: new Date(seconds * 1_000).toISOString(),
      expired: seconds * 1_000 <= nowMs,
    }),
  };
  return {
    ...credentials,
    strategy: type,
    credentials,
    ...(seconds !== undefined && { expires_at: seconds, expires_in: Math.max(0, leftSeconds ?? 0) }),
  };
}
