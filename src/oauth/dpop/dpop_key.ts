import { generateKeyPairSync, type webcrypto } from "node:crypto";
import { calculateJwkThumbprint, type JWK } from "jose";
import { DataLoss } from "../../model/errors.js";
import { Secret } from "../../runtime/secret.js";

/** The algorithm of every proof: RFC 9449 leaves it open, and each known server takes this one. */
export const dpopAlgorithm = "ES256";

const curve = { name: "ECDSA", namedCurve: "P-256" } as const;
/** A secret stays one object as long as what holds it is cached. */
const pairs = new WeakMap<Secret, Promise<webcrypto.CryptoKeyPair>>();

/** A new key pair: the private half as a JWK (RFC 7518 section 6.2), of which the public one is a part. */
export function newDpopKey(): Secret {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: curve.namedCurve });
  return new Secret(JSON.stringify(privateKey.export({ format: "jwk" })));
}

/** Both halves; the private one cannot be exported. @throws DataLoss when it is no such key */
export function keyPairOf(key: Secret): Promise<webcrypto.CryptoKeyPair> {
  let pair = pairs.get(key);
  if (!pair) {
    pair = importPair(key);
    pair.catch(() => pairs.delete(key));
    pairs.set(key, pair);
  }
  return pair;
}

/** Thumbprint of the public half (RFC 7638 with SHA-256): `dpop_jkt` of RFC 9449 section 10. @throws DataLoss */
export async function dpopThumbprint(key: Secret): Promise<string> {
  const { publicKey } = await keyPairOf(key);
  return await calculateJwkThumbprint((await crypto.subtle.exportKey("jwk", publicKey)) as JWK);
}

async function importPair(key: Secret): Promise<webcrypto.CryptoKeyPair> {
  try {
    const { kty, crv, x, y, d } = JSON.parse(key.reveal()) as Record<"kty" | "crv" | "x" | "y" | "d", string>;
    const half = { kty, crv, x, y };
    return {
      privateKey: await crypto.subtle.importKey("jwk", { ...half, d }, curve, false, ["sign"]),
      publicKey: await crypto.subtle.importKey("jwk", half, curve, true, ["verify"]),
    };
  } catch {
    throw new DataLoss("the key that the tokens are bound to (DPoP) cannot be used to sign");
  }
}
