import { grantedByFile, hasPrivateKey, provesByFile, provesByTls } from "../../model/clients/client_proof.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { GrantFailure } from "../../oauth/failure.js";

/** What an operator can do about a client that its provider refuses: the end of a sentence, and each command on a line of its own. */
export function refusedClientAdvice(profile: ProviderProfile): string {
  const { name, tokenEndpointAuthMethod: method } = profile;
  const update = `nexusd provider update ${name}`;
  if (method === "none" && (hasPrivateKey(profile) || grantedByFile(profile))) {
    return "the grant was a JWT: check what the provider knows of its key, and client_key_id, client_signing_alg and assertion_audience of the profile's oauth2_options";
  }
  if (method === "none") {
    return `no secret was sent, since the authentication method of the profile is none\n  set one: ${update} --auth-method client_secret_post --client-secret-file FILE`;
  }
  if (method === "private_key_jwt" || method === "client_secret_jwt") {
    return `the client signed a JWT (${method}): check what the provider knows of the key or secret, and client_key_id, client_signing_alg and client_assertion_audience of the profile's oauth2_options`;
  }
  if (provesByTls({ tokenEndpointAuthMethod: method }))
    return `the client showed its certificate (${method}): check what the provider knows of tls_client_certificate of the profile`;
  if (provesByFile({ tokenEndpointAuthMethod: method }))
    return `the client showed the JWT of its file (${method}): check whom it names and for whom it is, and what the provider trusts`;
  const other = method === "client_secret_basic" ? "client_secret_post" : "client_secret_basic";
  return `the secret was sent by ${method}\n  correct the secret: ${update} --client-secret-file FILE\n  or the method: ${update} --auth-method ${other}`;
}

const maxLength = 300;

/** What looks like a token, a key or an id: long, and no word of lower case. */
const opaque = /(?=[\w+=~-]*[0-9A-Z])[\w+=~-]{20,}/g;

/** For a log: what the provider says of a client that it refuses. Of no other refusal, whose words may be about a person. */
export function refusalWords(failure: GrantFailure): string | undefined {
  if (!failure.isClientRejected) return undefined;
  const text = failure.reportedReason?.reveal().replace(/[^\x20-\x7e]+/g, " ");
  return text?.replace(opaque, "[redacted]").slice(0, maxLength);
}
