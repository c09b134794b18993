import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import type { ClientKeyType } from "../model/clients/client_key.js";
import { Secret } from "../runtime/secret.js";

/** The public half of a key (RFC 7517 section 4), nothing else. */
export type PublicJwk = Readonly<Record<"kty" | "kid" | "use", string> & Record<string, string>>;

export interface ClientKeyPair {
  readonly kid: string;
  /** PKCS #8 as PEM. */
  readonly privateKey: Secret;
}

/** RFC 7518 section 3.3 wants 2048 at least; a key lives for a year or two, and each signature of a longer one takes long. */
const rsaBits = 2048;

const generate = promisify(generateKeyPair);

/** Makes a key. RSA takes some 100 ms, beside all other work. */
export async function makeClientKeyPair(type: ClientKeyType): Promise<ClientKeyPair> {
  const { publicKey, privateKey } = await generateFor(type);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  return { kid: thumbprint(publicMembers(publicKey)), privateKey: new Secret(pem) };
}

function generateFor(type: ClientKeyType): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  switch (type) {
    case "RSA":
      return generate("rsa", { modulusLength: rsaBits });
    case "Ed25519":
      return generate("ed25519");
    default:
      return generate("ec", { namedCurve: type });
  }
}

/** @param privateKey PKCS #8 as PEM */
export function publicJwkOf(privateKey: Secret): PublicJwk {
  const members = publicMembers(createPublicKey(createPrivateKey(privateKey.reveal())));
  return { ...members, kid: thumbprint(members), use: "sig" } as PublicJwk;
}

/** The members that RFC 7638 section 3.2 and RFC 8037 section 2 require, in the order of their names: all that a public key is. */
function publicMembers(key: KeyObject): Readonly<Record<string, string>> {
  const { crv, e, kty, n, x, y } = key.export({ format: "jwk" });
  const named = Object.entries({ crv, e, kty, n, x, y });
  return Object.fromEntries(named.filter((member): member is [string, string] => member[1] !== undefined));
}

/** RFC 7638 section 3. */
function thumbprint(members: Readonly<Record<string, string>>): string {
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}
