import type { FieldViolation } from "../model/errors.js";
import { optionNames } from "../model/oauth2_options_config.js";
import type { ProviderSettings } from "../model/provider_profile.js";
import { strategyConfig } from "../model/strategy_config.js";

/** The limits that proto/nexus/v1/provider.proto sets on texts, by their names there. */
const maxLengths: readonly [name: string, read: (settings: ProviderSettings) => string, max: number][] = [
  ["client_id", ({ clientId }) => clientId, 1024],
  ["issuer", ({ issuer }) => issuer, 2048],
  ["auth_url", ({ authUrl }) => authUrl, 2048],
  ["token_url", ({ tokenUrl }) => tokenUrl, 2048],
  ["jwks_url", ({ jwksUrl }) => jwksUrl, 2048],
  ["api_base_url", ({ apiBaseUrl }) => apiBaseUrl, 2048],
  ["user_info_endpoint", ({ userInfoEndpoint }) => userInfoEndpoint, 2048],
  ["description", ({ description }) => description, 1024],
  ["category", ({ category }) => category, 128],
  ["oauth2_options.scope_separator", ({ oauth2 }) => oauth2.scopeSeparator, 8],
  ["oauth2_options.refresh_url", ({ oauth2 }) => oauth2.refreshUrl, 2048],
  ["oauth2_options.revocation_url", ({ oauth2 }) => oauth2.revocationUrl, 2048],
  ["oauth2_options.token_response_path", ({ oauth2 }) => oauth2.tokenResponsePath, 128],
  ["oauth2_options.lifetime_field", ({ oauth2 }) => oauth2.lifetimeField, 64],
];

const statusAliasPattern = /^http_status=4([013-9][0-79]|18|2[0-4678]|[3-9]8)$/;
const aliasPattern = /^([A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*=)?[ -<>-~][ -~]*$/;
const maxScopes = 100;
const maxScopeLength = 256;
const maxParams = 50;
const maxParamLength = 2048;
const maxSecretLength = 4096;

/** What the daemon's API would refuse before it looks at the meaning of a profile. */
export function limitFaults(settings: ProviderSettings, clientSecret: string): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const fault = (field: string, description: string): void => void faults.push({ field, description });
  for (const [name, read, max] of maxLengths) {
    if (read(settings).length > max) fault(name, `must have at most ${max} characters`);
  }
  if (clientSecret.length > maxSecretLength) {
    fault("client_secret", `must have at most ${maxSecretLength} characters`);
  }
  if (settings.scopes.length > maxScopes) fault("scopes", `must be at most ${maxScopes}`);
  settings.scopes.forEach((scope, index) => {
    // RFC 6749 section 3.3
    if (scope.length > maxScopeLength || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
      fault(`scopes[${index}]`, "must be one scope: printable ASCII without spaces, quotes and backslashes");
    } else if (settings.scopes.indexOf(scope) < index) fault(`scopes[${index}]`, "stands here twice");
  });
  const params = Object.entries(settings.authorizationParams);
  if (params.length > maxParams) fault("authorization_params", `must be at most ${maxParams}`);
  for (const [name, value] of params) {
    if (!/^[\x21-\x7e]{1,128}$/.test(name)) {
      fault(`authorization_params["${name}"]`, "must have a name of printable ASCII");
    }
    if (value.length > maxParamLength) {
      fault(`authorization_params["${name}"]`, `must have at most ${maxParamLength} characters`);
    }
  }
  for (const [name, value] of Object.entries(strategyConfig(settings.strategy))) {
    if (value.length > 128) fault(`strategy.${name}`, "must have at most 128 characters");
  }
  durationFault("refresh_window", settings.refreshWindowMs, 86_400_000, fault);
  durationFault("oauth2_options.default_lifetime", settings.oauth2.defaultLifetimeMs, 315_360_000_000, fault);
  for (const [option, max] of [
    ["tokenParams", 50],
    ["refreshParams", 50],
    ["tokenHeaders", 20],
    ["callbackMetadata", 20],
    ["tokenMetadata", 20],
    ["invalidGrantAliases", 20],
  ] as const) {
    if (Object.keys(settings.oauth2[option]).length > max) {
      fault(`oauth2_options.${optionNames[option]}`, `must be at most ${max}`);
    }
  }
  if (!/^([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?$/.test(settings.oauth2.tokenResponsePath)) {
    fault("oauth2_options.token_response_path", "must be names with dots between them");
  }
  settings.oauth2.invalidGrantAliases.forEach((alias, index, all) => {
    const field = `oauth2_options.invalid_grant_aliases[${index}]`;
    if (alias.length > 256 || !aliasPattern.test(alias)) {
      fault(field, "must be a value of `error`, or path=value, in at most 256 characters of printable ASCII");
    } else if (alias.startsWith("http_status=") && !statusAliasPattern.test(alias)) {
      fault(field, "http_status must be 400 to 499, and not 408, 425 or 429");
    } else if (all.indexOf(alias) < index) fault(field, "stands here twice");
  });
  bareKeyFault(settings, fault);
  return faults;
}

type Fault = (field: string, description: string) => void;

function durationFault(field: string, durationMs: number | undefined, maxMs: number, fault: Fault): void {
  if (durationMs === undefined || (durationMs >= 1000 && durationMs <= maxMs)) return;
  fault(field, `must be 1s to ${maxMs / 1000}s`);
}

/** The API takes an empty prefix of an `api_key` as none given, and sends `Bearer `. */
function bareKeyFault({ authType, strategy }: ProviderSettings, fault: Fault): void {
  if (authType !== "api_key" || strategy.kind !== "header" || strategy.valuePrefix !== "") return;
  if (strategy.headerName.toLowerCase() !== "authorization") return;
  fault(
    "strategy",
    "an api_key in Authorization goes out as a bearer token; for the bare key say auth_type: header",
  );
}
