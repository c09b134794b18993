import { type CryptoKey, importPKCS8 } from "jose";
import * as oauth from "oauth4webapi";
import { PrivateKeyUnusable, readPrivateKey } from "../model/credentials/private_key.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import { Secret } from "../runtime/secret.js";
import { hasIssuer } from "./authorization_server.js";
import { GrantFailure } from "./failure.js";

/** Where the key of a client is: in its secret, or in a file or made by the daemon, which is asked by the algorithm. */
export type AssertionKeySource = Secret | OwnKeySource;

/** @param alg of RFC 7518 section 3.1; empty for the default one. A `kid` that is empty is that of the key, where it has one. */
export type OwnKeySource = (alg: string) => Promise<{ readonly kid: string; readonly privateKey: Secret }>;

/** A key with what goes into the header beside its signature. */
export interface SigningKey {
  readonly key: CryptoKey;
  readonly alg: string;
  readonly kid: string | undefined;
}

/**
 * The key of a client.
 *
 * @throws GrantFailure of kind `client`, before anything is sent
 */
export async function signingKeyOf(source: AssertionKeySource, options: OAuth2Options): Promise<SigningKey> {
  const { clientKeyId, clientSigningAlg } = options;
  if (source instanceof Secret) return await keyOfSecret(source, clientKeyId, clientSigningAlg);
  const { kid, privateKey } = await source(clientSigningAlg);
  return await keyOfSecret(privateKey, kid, clientSigningAlg);
}

async function keyOfSecret(secret: Secret, ownKid: string, wantedAlg: string): Promise<SigningKey> {
  try {
    const { key, keyId, algorithms } = readPrivateKey(secret.reveal());
    const alg = chosenAlgorithm(algorithms, wantedAlg);
    const pem = key.export({ type: "pkcs8", format: "pem" }) as string;
    return { key: await importPKCS8(pem, alg), alg, kid: ownKid === "" ? keyId : ownKid };
  } catch (error) {
    const why = error instanceof PrivateKeyUnusable ? error.message : "cannot be used to sign";
    throw new GrantFailure({ kind: "client", refusal: `the client secret of the profile ${why}` });
  }
}

/** @throws PrivateKeyUnusable */
export function chosenAlgorithm(algorithms: readonly string[], wanted: string): string {
  const [first = ""] = algorithms;
  if (wanted === "") return first;
  if (algorithms.includes(wanted)) return wanted;
  throw new PrivateKeyUnusable(`does not sign by ${wanted}, but by ${algorithms.join(", ")}`);
}

/** RFC 7523 section 2.2, signed with a private key: a new `jti` for each request, good for 60 s. */
export function privateKeyJwt(source: AssertionKeySource, options: OAuth2Options): oauth.ClientAuth {
  return async (server, client, body, headers) => {
    const { key, alg, kid } = await signingKeyOf(source, options);
    const modify = (header: { alg?: unknown }, payload: { aud?: unknown }): void => {
      // The library has one word for both.
      header.alg = alg;
      payload.aud = audienceFor(server, options);
    };
    const privateKey = kid === undefined ? key : { key, kid };
    await oauth.PrivateKeyJwt(privateKey, { [oauth.modifyAssertion]: modify })(server, client, body, headers);
  };
}

/** `client_assertion_type` by the word of a profile. */
const assertionTypes = {
  jwt_bearer: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  jwt_spiffe: "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
} as const;
export type ClientAssertionType = keyof typeof assertionTypes;

/** A JWT that somebody else made, as it is now. */
export interface GivenAssertion {
  readonly type: ClientAssertionType;
  /** Called for each request. @throws GrantFailure */
  read(): Promise<Secret>;
}

/** RFC 7523 section 2.2, and draft-ietf-oauth-spiffe-client-auth section 4.1. `client_id` is sent beside it: Entra wants it. */
export function givenAssertion({ type, read }: GivenAssertion): oauth.ClientAuth {
  return async (_server, client, body) => {
    const assertion = await read();
    body.set("client_id", client.client_id);
    body.set("client_assertion_type", assertionTypes[type]);
    body.set("client_assertion", assertion.reveal());
  };
}

/** The same with an HMAC by the client secret. */
export function clientSecretJwt(secret: Secret, options: OAuth2Options): oauth.ClientAuth {
  return async (server, client, body, headers) => {
    const modify = (_header: unknown, payload: { aud?: unknown }): void => {
      payload.aud = audienceFor(server, options);
    };
    const authenticate = oauth.ClientSecretJwt(secret.reveal(), { [oauth.modifyAssertion]: modify });
    await authenticate(server, client, body, headers);
  };
}

/** One value, so that no other server that is named can use the assertion (RFC 7523 section 3). */
function audienceFor(
  server: oauth.AuthorizationServer,
  { clientAssertionAudience }: OAuth2Options,
): string | undefined {
  const wantsIssuer = clientAssertionAudience === "issuer" && hasIssuer(server);
  return wantsIssuer ? server.issuer : server.token_endpoint;
}
