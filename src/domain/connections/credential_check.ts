import type { CredentialTrial } from "../static_credentials/credential_probe.js";
import { checkCredential } from "../static_credentials/credential_values.js";
import type { CheckFields } from "./connection_importer.js";

/** Judges the fields of a static type as a capture does: by the profile's schema, then at the provider. */
export function credentialCheck(trial: CredentialTrial): CheckFields {
  return async (profile, values) => {
    const fields = checkCredential(profile, values);
    return { fields, account: await trial.try(profile, fields) };
  };
}
