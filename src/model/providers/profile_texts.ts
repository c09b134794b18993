import type { Strategy } from "../credentials/strategy.js";
import { strategyConfig } from "../credentials/strategy_config.js";
import type { FieldViolation } from "../errors.js";
import type { JsonObject } from "../json.js";
import { namesSecret } from "./connection_metadata.js";
import type { OAuth2Options } from "./profile_settings.js";

const maxParamNameLength = 128;
const maxParamValueLength = 2_048;
/** Of `params` as JSON: as much as a `credential_schema` may have, which is the largest thing in it. */
export const maxParamsBytes = 64 * 1024;

/** What of a profile is read here. */
export interface ProfileTexts {
  readonly clientId: string;
  readonly category: string;
  readonly description: string;
  readonly userInfoEndpoint: string;
  readonly userInfoMapping: Readonly<Record<string, string>>;
  readonly authorizationParams: Readonly<Record<string, string>>;
  readonly params: JsonObject;
  readonly strategy: Strategy;
  readonly oauth2: OAuth2Options;
}

type TextViolation = (field: string, description: string) => void;

/**
 * Errors of the texts of a profile that no other rule judges: they are printed in terminals and pages, sent in requests, and looked up
 * by name.
 */
export function textViolations(settings: ProfileTexts): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const violation: TextViolation = (field, description) =>
    void violations.push({ field: `provider.${field}`, description });
  const { oauth2 } = settings;
  const lines: readonly (readonly [field: string, text: string])[] = [
    ["client_id", settings.clientId],
    ["category", settings.category],
    ["user_info_endpoint", settings.userInfoEndpoint],
    ["oauth2_options.scope_separator", oauth2.scopeSeparator],
    ["oauth2_options.lifetime_field", oauth2.lifetimeField],
    ["oauth2_options.client_key_id", oauth2.clientKeyId],
    ["oauth2_options.assertion_subject", oauth2.assertionSubject],
    ["oauth2_options.assertion_audience", oauth2.assertionAudience],
  ];
  for (const [field, text] of lines) if (hasControls(text)) violation(field, noControls);
  if (hasControls(settings.description.replace(/[\n\t]/g, " "))) {
    violation("description", "must not hold control characters but line ends and tabs");
  }
  paramViolations("authorization_params", settings.authorizationParams, violation);
  paramViolations("oauth2_options.token_params", oauth2.tokenParams, violation);
  paramViolations("oauth2_options.refresh_params", oauth2.refreshParams, violation);
  for (const [name, value] of Object.entries(oauth2.tokenHeaders)) {
    const why = headerValueViolation(value);
    if (why !== undefined) violation(`oauth2_options.token_headers["${name}"]`, why);
  }
  metadataViolations("callback_metadata", oauth2.callbackMetadata, violation);
  metadataViolations("token_metadata", oauth2.tokenMetadata, violation);
  for (const [field, path] of Object.entries(settings.userInfoMapping)) {
    if (namesSecret(path)) violation(`user_info_mapping["${field}"]`, "names a secret, which is no account");
  }
  strategyNameViolations(settings, violation);
  const bytes = Buffer.byteLength(JSON.stringify(settings.params));
  if (bytes > maxParamsBytes)
    violation("params", `must be at most ${maxParamsBytes} bytes of JSON, not ${bytes}`);
  return violations;
}

const noControls = "must not hold control characters";

function hasControls(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return /[\u0000-\u001f\u007f-\u009f]/.test(text);
}

function paramViolations(
  field: string,
  params: Readonly<Record<string, string>>,
  violation: TextViolation,
): void {
  for (const [name, value] of Object.entries(params)) {
    const at = `${field}["${name}"]`;
    if (!/^[\x21-\x7e]+$/.test(name) || name.length > maxParamNameLength) {
      violation(at, `must have a name of 1 to ${maxParamNameLength} visible ASCII characters`);
    }
    if (value.length > maxParamValueLength)
      violation(at, `must be at most ${maxParamValueLength} characters`);
    else if (hasControls(value)) violation(at, noControls);
  }
}

/** RFC 9110 section 5.5, without what is obsolete in it. */
function headerValueViolation(value: string): string | undefined {
  if (value.length > maxParamValueLength) return `must be at most ${maxParamValueLength} characters`;
  if (/[^ -~]/.test(value)) return "must be printable ASCII: it is sent in a header";
  return value.trim() === value ? undefined : "must not begin or end with a space";
}

function metadataViolations(name: string, paths: readonly string[], violation: TextViolation): void {
  for (const [index, path] of paths.entries()) {
    const at = `oauth2_options.${name}[${index}]`;
    if (namesSecret(path)) violation(at, "names a secret, which is no metadata");
    if (path === "" || path.length > maxParamNameLength || hasControls(path)) {
      violation(
        at,
        `must be a name of 1 to ${maxParamNameLength} characters, none of them a control character`,
      );
    }
  }
}

/** Names by which an agent looks a credential up, or under which it is sent. */
function strategyNameViolations({ strategy }: ProfileTexts, violation: TextViolation): void {
  for (const [name, text] of Object.entries(strategyConfig(strategy))) {
    if (!/_field$|^param_name$/.test(name)) continue;
    const at = `strategy.${strategy.kind}.${name}`;
    if (text.length > maxParamNameLength) violation(at, `must be at most ${maxParamNameLength} characters`);
    if (hasControls(text)) violation(at, noControls);
    if (text === "__proto__") violation(at, "is a name that is reserved");
  }
}
