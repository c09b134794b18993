import { createPrivateKey, type KeyObject } from "node:crypto";

/** A key that signs for a client. It prints without its content, as a KeyObject does. */
export interface PrivateKey {
  readonly key: KeyObject;
  /** `kid` of the JWK, or `private_key_id` of the key file. */
  readonly keyId: string | undefined;
  /** Those that fit the key (RFC 7518 section 3.1, RFC 8037 section 3.1); the first is the default. */
  readonly algorithms: readonly string[];
}

/** Why a text is no key that signs: the end of a sentence. It says nothing of the text. */
export class PrivateKeyUnusable extends Error {
  constructor(why: string) {
    super(why);
    this.name = "PrivateKeyUnusable";
  }
}

/** RFC 7518 section 3.3. */
const minRsaBits = 2048;
const rsaAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const algorithmOfCurve: ReadonlyMap<string | undefined, string> = new Map([
  ["prime256v1", "ES256"],
  ["secp384r1", "ES384"],
  ["secp521r1", "ES512"],
]);

/**
 * Reads PKCS #8, PKCS #1 or SEC 1 as PEM, a JWK (RFC 7517), or the key file of a Google service account, which holds the first.
 *
 * @throws PrivateKeyUnusable
 */
export function readPrivateKey(text: string): PrivateKey {
  const json = text.trimStart().startsWith("{") ? jsonObject(text) : undefined;
  if (json?.["type"] !== "service_account") return keyOf(text, json);
  const { private_key: pem, private_key_id: keyId } = json;
  if (typeof pem !== "string") throw new PrivateKeyUnusable("is a key file without a private_key");
  return { ...keyOf(pem, undefined), keyId: textOrNone(keyId) };
}

function keyOf(text: string, jwk: Readonly<Record<string, unknown>> | undefined): PrivateKey {
  const key = jwk === undefined ? keyOfPem(text) : keyOfJwk(jwk);
  const { kid, alg } = jwk ?? {};
  const fitting = algorithmsOf(key);
  if (alg !== undefined && !fitting.includes(String(alg)))
    throw new PrivateKeyUnusable("is a JWK whose alg does not fit its key");
  return {
    key,
    keyId: textOrNone(kid),
    algorithms: alg === undefined ? fitting : [String(alg)],
  };
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function algorithmsOf(key: KeyObject): readonly string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") {
    if ((details?.modulusLength ?? 0) >= minRsaBits) return rsaAlgorithms;
    throw new PrivateKeyUnusable(`is an RSA key of less than ${minRsaBits} bits`);
  }
  if (type === "ed25519") return ["EdDSA", "Ed25519"];
  const ofCurve = type === "ec" ? algorithmOfCurve.get(details?.namedCurve) : undefined;
  if (ofCurve === undefined)
    throw new PrivateKeyUnusable("is neither RSA, nor EC on P-256, P-384 or P-521, nor Ed25519");
  return [ofCurve];
}

/** What went through a variable of an environment may have its line ends as two characters. */
function keyOfPem(text: string): KeyObject {
  const pem = text.includes("\n") ? text : text.replaceAll("\\n", "\n");
  if (/ENCRYPTED/.test(pem))
    throw new PrivateKeyUnusable("is encrypted: give it without its passphrase, it is sealed here");
  try {
    return createPrivateKey(pem);
  } catch {
    throw new PrivateKeyUnusable("is no private key as PEM or JWK");
  }
}

function keyOfJwk(jwk: Readonly<Record<string, unknown>>): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: "jwk" });
  } catch {
    throw new PrivateKeyUnusable("is no JWK of a private key");
  }
}

function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>;
  } catch {
    throw new PrivateKeyUnusable("is no JSON that can be read");
  }
}
