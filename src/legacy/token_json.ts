import type { Token } from "../gen/nexus/v1/token_pb.js";
import { strategyConfig } from "../model/credentials/strategy_config.js";
import type { JsonObject } from "../model/json.js";
import { strategyOf } from "../model/providers/strategy_message.js";

/**
 * A token as the existing contract writes it: for `oauth2` with the credentials laid flat at the root too. Its
 * `expires_at` is in Unix seconds, and absent where nobody knows it, as for what never expires.
 */
export function tokenJson(token: Token | undefined): JsonObject {
  const strategy = strategyOf(token?.strategy);
  if (!token || !strategy) throw new Error("a token without a strategy");
  const body: JsonObject = {
    strategy: { type: strategy.kind, config: strategyConfig(strategy) },
    credentials: { ...token.credentials },
    ...(token.expiresAt ? { expires_at: Number(token.expiresAt.seconds) } : {}),
  };
  return strategy.kind === "oauth2" ? { ...token.credentials, ...body } : body;
}
