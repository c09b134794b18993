import {
  AuthType,
  type CreateProviderResponse,
  type Provider,
  TokenEndpointAuthMethod,
  TokenRequestFormat,
  type UpdateProviderResponse,
} from "../../gen/nexus/v1/provider_pb.js";
import { isConsented } from "../../model/providers/grant_type.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import { givenSettings } from "../../model/providers/profile_json.js";
import { authTypes, unverifiedIdTokenNote } from "../../model/providers/provider_profile.js";
import { formatDuration } from "../../model/quantity_text.js";
import { durationMsOf } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

/** `api_key` for `AUTH_TYPE_API_KEY`. */
export function typeName(provider: Provider): string {
  return authTypes[provider.authType - 1] ?? "oauth2";
}

/** Whether a person consents there; the others are minted, or entered into a form. */
export function isConsentedAt(provider: Provider): boolean {
  return isConsented(profileSettings(provider));
}

export function isOAuth2(provider: Provider): boolean {
  return provider.authType === AuthType.OAUTH2 || provider.authType === AuthType.UNSPECIFIED;
}

/** How PKCE is used; empty where no person consents. */
export function pkceWord(provider: Provider): string {
  if (!isConsentedAt(provider)) return "";
  return provider.oauth2Options?.omitPkce === true ? "omitted" : "S256";
}

/** What is not as the RFCs have it, a sentence each. */
export function quirkSentences(provider: Provider): string[] {
  const sentences: string[] = [];
  const say = (isSo: boolean, sentence: string): void => {
    if (isSo) sentences.push(sentence);
  };
  if (provider.tokenEndpointAuthMethod === TokenEndpointAuthMethod.CLIENT_SECRET_BASIC) {
    sentences.push("the daemon authenticates by HTTP Basic");
  }
  const note = unverifiedIdTokenNote(profileSettings(provider));
  if (note !== undefined) sentences.push(note);
  const options = provider.oauth2Options;
  if (options) {
    say(options.omitPkce, "PKCE is omitted: the provider does not take its parameters");
    say(options.skipScopeOnAuth, "no scope is sent in the authorization request");
    say(options.scopeSeparator !== "", `scopes are separated by ${JSON.stringify(options.scopeSeparator)}`);
    say(options.tokenRequestFormat === TokenRequestFormat.JSON, "token requests are sent as JSON");
    say(
      hasAny(options.tokenParams),
      `${isConsentedAt(provider) ? "the code exchange" : "each token request"} also sends ${pairs(options.tokenParams)}`,
    );
    say(hasAny(options.refreshParams), `a refresh also sends ${pairs(options.refreshParams)}`);
    say(hasAny(options.tokenHeaders), `token requests have the headers ${pairs(options.tokenHeaders)}`);
    say(options.refreshUrl !== "", `tokens are refreshed at ${options.refreshUrl}`);
    say(options.tokenResponsePath !== "", `the token is in ${options.tokenResponsePath} of the answer`);
    say(options.lifetimeField !== "", `the lifetime is in ${options.lifetimeField} of the answer`);
    const lifetime = options.defaultLifetime;
    if (lifetime) {
      sentences.push(`a token without a lifetime is taken to live ${formatDuration(durationMsOf(lifetime))}`);
    }
    const dead = options.invalidGrantAliases;
    say(dead.length > 0, `a refresh token is also dead when the answer says ${dead.join(" or ")}`);
    const kept = [...options.callbackMetadata, ...options.tokenMetadata];
    say(kept.length > 0, `kept as metadata of a connection: ${kept.join(", ")}`);
  }
  const { kind } = provider.strategy ?? {};
  if (kind?.case === "oauth2" || kind?.case === "header") {
    const { headerName, valuePrefix } = kind.value;
    const isBearer = headerName.toLowerCase() === "authorization" && valuePrefix === "Bearer ";
    say(!isBearer, `the credential goes into the header ${headerName}: ${valuePrefix ?? ""}<credential>`);
  }
  if (kind?.case === "queryParam")
    sentences.push(`the credential goes into the query as ${kind.value.paramName}`);
  return sentences;
}

/** Settings that have words of their own in `provider show`, in the table or as a sentence. */
const describedFields = [
  ...["name", "auth_type", "template", "description", "category", "issuer", "enable_discovery", "auth_url"],
  ...["token_url", "jwks_url", "client_id", "token_endpoint_auth_method", "scopes", "authorization_params"],
  ...["strategy", "refresh_window", "api_base_url", "user_info_endpoint", "oauth2_options"],
  // As large as a page each; `--json` shows them.
  ...["credential_schema", "params"],
];

/** Every other setting that is given, by its name in the proto. */
export function furtherFields(provider: Provider): [string, string][] {
  const given = Object.entries(givenSettings(profileSettings(provider)));
  return given
    .filter(([name]) => !describedFields.includes(name))
    .map(([name, value]) => [
      name.replaceAll("_", " "),
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
}

function hasAny(values: Readonly<Record<string, string>>): boolean {
  return Object.keys(values).length > 0;
}

function pairs(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");
}

/** What would keep a person from consenting at a profile that was written; beside the answer, which may be JSON. */
export function printWarnings(
  { stderr }: Shell,
  { provider, warnings }: CreateProviderResponse | UpdateProviderResponse,
): void {
  for (const warning of warnings) stderr.write(`warning: ${provider?.name ?? ""}: ${printable(warning)}\n`);
}
