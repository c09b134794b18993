import type { StaticCredential } from "../../model/credentials/credential.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { CredentialTrial } from "../providers/static/credential_probe.js";
import { checkCredential } from "../providers/static/credential_values.js";

/**
 * Checks the fields of a static type, and tries them where the profile says how.
 *
 * @throws InvalidArgument naming `credentials.<field>`, FailedPrecondition (CREDENTIAL_REJECTED), Unavailable
 */
export type CheckFields = (
  profile: ProviderProfile,
  fields: Readonly<Record<string, string>>,
) => Promise<StaticCredential>;

/** Judges the fields of a static type as a capture does: by the profile's schema, then at the provider. */
export function credentialCheck(trial: CredentialTrial): CheckFields {
  return async (profile, values) => {
    const fields = checkCredential(profile, values);
    return { fields, account: await trial.try(profile, fields) };
  };
}
