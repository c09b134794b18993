import type { CheckFields } from "./connection_importer.js";
import type { CredentialTrial } from "./credential_trial.js";
import { checkCredential } from "./credential_values.js";

/** Judges the fields of a static type as a capture does: by the profile's schema, then at the provider. */
export function credentialCheck(trial: Pick<CredentialTrial, "try">): CheckFields {
  return async (profile, values) => {
    const fields = checkCredential(profile, values);
    await trial.try(profile, fields);
    return fields;
  };
}
