import { FailedPrecondition, InvalidArgument, type NexusError, Unavailable } from "../../../model/errors.js";
import type { GrantFailure } from "../../../oauth/failure.js";
import type { Narrowing } from "./token_target.js";

const retryAfterMs = 1_000;

/** What a caller hears of an exchange that failed. Nothing follows for the connection: its grant was not used. */
export function exchangeError(failure: GrantFailure, asked: Narrowing): NexusError {
  const { kind, oauthError, message, isRefusal } = failure;
  if (oauthError === "invalid_scope") return refused("scopes", asked.scopes.length > 0, failure);
  if (oauthError === "invalid_target") {
    const field = asked.audience === "" ? "resource" : "audience";
    return refused(field, asked[field] !== "", failure);
  }
  if (failure.isClientRejected || (kind === "client" && failure.httpStatus === undefined))
    return new FailedPrecondition("PROVIDER_MISCONFIGURED", message);
  if (kind === "client" || kind === "invalid_grant" || kind === "rejected" || isRefusal)
    return new FailedPrecondition("TOKEN_EXCHANGE_REFUSED", `no narrower token was issued: ${message}`);
  return new Unavailable(`no narrower token was issued: ${message}`, failure.retryAfterMs ?? retryAfterMs);
}

/** By the field that the provider does not take; where the caller named none, the profile's is refused. */
function refused(field: string, isAsked: boolean, { message }: GrantFailure): NexusError {
  if (isAsked) return new InvalidArgument([{ field, description: `is refused by the provider: ${message}` }]);
  return new FailedPrecondition("TOKEN_EXCHANGE_REFUSED", `no narrower token was issued: ${message}`);
}
