import { type FieldViolation, InvalidArgument } from "../model/errors.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { Strategy } from "../model/strategy.js";
import { Secret } from "../runtime/secret.js";

/** The fields that a strategy reads, and whether each may be empty. */
function fieldsOf(strategy: Strategy): { readonly name: string; readonly mayBeEmpty: boolean }[] {
  const field = (name: string, mayBeEmpty = false) => ({ name, mayBeEmpty });
  switch (strategy.kind) {
    case "oauth2":
    case "header":
    case "query_param":
      return [field(strategy.credentialField)];
    case "basic_auth":
      return [field(strategy.usernameField), field(strategy.passwordField, true)];
    case "hmac_payload":
      return [field(strategy.secretField)];
    case "aws_sigv4":
      return [field("access_key"), field("secret_key")];
  }
}

/** Checks that the fields which the strategy reads are there. @throws InvalidArgument */
export async function checkStrategyFields(
  profile: ProviderProfile,
  fields: Readonly<Record<string, string>>,
): Promise<Record<string, Secret>> {
  const faults: FieldViolation[] = fieldsOf(profile.strategy)
    .filter(({ name, mayBeEmpty }) => (mayBeEmpty ? fields[name] === undefined : !fields[name]))
    .map(({ name }) => ({ field: `credentials.${name}`, description: "is required" }));
  if (faults.length > 0) throw new InvalidArgument(faults);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, new Secret(value)]));
}
