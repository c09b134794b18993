import type { TokenTarget } from "../../../domain/reading/reading.js";
import type { Connection } from "../../../model/connections/connections.js";
import type { TokenSet } from "../../../model/credentials/credentials.js";
import { FailedPrecondition, InvalidArgument } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { downscopedInstallation } from "../github_app.js";

/** For the audit: `audience=https://api.example scope=read write`, the same in whatever order scopes are named. */
export function targetText({ audience, resource, scopes }: TokenTarget): string {
  const named = [
    audience === "" ? "" : `audience=${audience}`,
    resource === "" ? "" : `resource=${resource}`,
    scopes.length === 0 ? "" : `scope=${[...scopes].sort().join(" ")}`,
  ];
  return named.filter((part) => part !== "").join(" ");
}

/**
 * What is sent of a target: never wider than the connection, as far as that is known here; the provider judges the rest.
 *
 * @throws FailedPrecondition (TOKEN_EXCHANGE_OFF), InvalidArgument
 */
export function admittedTarget(
  wanted: TokenTarget,
  profile: ProviderProfile,
  connection: Connection,
): TokenTarget {
  if (profile.authType !== "oauth2") throw off(profile, "its credential is static and cannot be downscoped");
  if (profile.grantType === "github_app") return installationTarget(wanted, connection);
  const { tokenExchange, resourceParameter } = profile.oauth2;
  if (tokenExchange === "off") {
    throw off(
      profile,
      "set oauth2_options.token_exchange of the profile to rfc8693 or on_behalf_of, if the provider can exchange tokens",
    );
  }
  if (tokenExchange === "on_behalf_of")
    refuseTargets(wanted, "the scopes of an on-behalf-of request name the API");
  if (tokenExchange === "on_behalf_of" && wanted.scopes.length === 0)
    throw invalid("scopes", "is required with token_exchange on_behalf_of: the scopes name the API");
  if (wanted.resource !== "" && resourceParameter === "never")
    throw invalid("resource", "must be empty: the profile says resource_parameter never");
  const wider = findWider(wanted.scopes, profile, connection);
  if (wider >= 0)
    throw invalid(
      `scopes[${wider}]`,
      "is wider than the connection: ask for scopes of the connection, or add it to oauth2_options.token_exchange_scopes of the profile",
    );
  return wanted;
}

function installationTarget(wanted: TokenTarget, { requestedScopes }: Connection): TokenTarget {
  refuseTargets(wanted, "the tokens of a GitHub App are for GitHub");
  const downscoped = downscopedInstallation(requestedScopes, wanted.scopes);
  if ("violation" in downscoped) throw invalid(`scopes[${downscoped.index}]`, downscoped.violation);
  return { ...wanted, scopes: downscoped.scopes };
}

function refuseTargets({ audience, resource }: TokenTarget, why: string): void {
  if (audience !== "") throw invalid("audience", `must be empty: ${why}`);
  if (resource !== "") throw invalid("resource", `must be empty: ${why}`);
}

/** A provider that never reported what it granted, to a consent that asked for nothing, leaves nothing to compare with. */
function findWider(
  scopes: readonly string[],
  { oauth2 }: ProviderProfile,
  { grantedScopes, consentedScopes }: Connection,
): number {
  const known = [...grantedScopes, ...consentedScopes];
  if (known.length === 0) return -1;
  return scopes.findIndex((scope) => !known.includes(scope) && !oauth2.tokenExchangeScopes.includes(scope));
}

/** A server may grant other scopes than were requested (RFC 6749 section 5.1). @throws FailedPrecondition */
export function refuseWiderAnswer(
  { scopes = [] }: TokenSet,
  wanted: TokenTarget,
  profile: ProviderProfile,
  connection: Connection,
): void {
  // The scopes of an audience are its own where the caller named none, and those of Entra always.
  if (wanted.scopes.length === 0 || profile.oauth2.tokenExchange !== "rfc8693") return;
  if (findWider(scopes, profile, connection) < 0) return;
  const words = "the provider issued a token with a scope that the connection does not have";
  throw new FailedPrecondition("TOKEN_EXCHANGE_REFUSED", words);
}

/** What an exchange makes of a token that is bound to a key (RFC 9449) would be bound to no key, or to one that proves the other token. */
export function boundSubject(profile: ProviderProfile): FailedPrecondition {
  return off(profile, "its tokens are bound to keys (oauth2_options.dpop), and downscoped ones would not be");
}

function off({ name }: ProviderProfile, why: string): FailedPrecondition {
  return new FailedPrecondition("TOKEN_EXCHANGE_OFF", `no downscoped token of ${name}: ${why}`);
}

function invalid(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}
