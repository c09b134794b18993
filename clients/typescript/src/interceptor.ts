import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import { Proofs } from "./proofs.js";
import { refusal, type TokenSource } from "./rejection.js";
import { StrategyError } from "./strategies/apply_strategy.js";
import type { Token } from "./token.js";

/** HTTP statuses of what a call answers when its token is refused. */
const statuses: Partial<Record<Code, number>> = { [Code.Unauthenticated]: 401, [Code.PermissionDenied]: 403 };

export function interceptorWith(source: TokenSource): Interceptor {
  const proofs = new Proofs(source);
  return (next) => async (request) => {
    const token = await source.token();
    try {
      return await next(await authorized(request, token, proofs));
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      const challenge = error.metadata.get("www-authenticate") ?? "";
      const refused = refusal(statuses[error.code] ?? 0, challenge);
      const nextToken = refused && (await source.nextToken(token, refused.status, refused.challenge));
      // The messages of a stream cannot be sent twice.
      if (!nextToken || request.stream) throw error;
      return await next(await authorized(request, nextToken, proofs));
    }
  };
}

/** @throws StrategyError for a strategy that signs the body, which is not there yet */
async function authorized<Request extends UnaryRequest | StreamRequest>(
  request: Request,
  token: Token,
  proofs: Proofs,
): Promise<Request> {
  const { kind } = token.strategy;
  if (kind.case === "hmacPayload" || kind.case === "awsSigv4") {
    throw new StrategyError(
      "invalid_strategy",
      "strategy",
      "signs the body, which an interceptor does not see",
    );
  }
  const call = { method: "POST", url: request.url, headers: request.header };
  const { url, headers } = await token.apply(call, await proofs.optionsFor(token, call.method, call.url));
  const header = new Headers(headers);
  return { ...request, url, header };
}
