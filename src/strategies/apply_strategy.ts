import type { Strategy } from "../model/credentials/strategy.js";
import type { ApiRequest, AuthorizedRequest, RequestBody } from "./api_request.js";
import type { BodyHash } from "./aws_sigv4.js";
import type { Credentials } from "./credential_fields.js";
import { type ApplyOptions, applyKnown } from "./known_strategy.js";
import { StrategyError } from "./strategy_error.js";
import { type AnyStrategy, strategyOfShape } from "./strategy_shapes.js";

export type {
  AnyStrategy,
  ApiRequest,
  ApplyOptions,
  AuthorizedRequest,
  BodyHash,
  Credentials,
  RequestBody,
  Strategy,
};
export { StrategyError };

/**
 * Puts a credential into a request as the strategy says.
 *
 * @param strategy as `GetToken`, `WatchTokens` or `GET /v1/token/{id}` answered it
 * @param credentials the `credentials` beside it
 * @returns a new request; the given one stays as it is
 * @throws StrategyError
 */
export async function applyStrategy<Body extends RequestBody = RequestBody>(
  request: ApiRequest<Body>,
  strategy: AnyStrategy,
  credentials: Credentials,
  options: ApplyOptions = {},
): Promise<AuthorizedRequest<Body>> {
  return await applyKnown(request, strategyOfShape(strategy), credentials, options);
}
