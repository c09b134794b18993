import type { SealedRecord } from "../credentials/credential.js";

/** The keys that the daemon makes for itself, by `crv` or `kty` of their JWK (RFC 7518 section 7.6, RFC 8037 section 5). */
export const clientKeyTypes = ["P-256", "P-384", "P-521", "RSA", "Ed25519"] as const;
export type ClientKeyType = (typeof clientKeyTypes)[number];

/** Where the public halves are published (RFC 7517 section 5), below the public URL. */
export const jwksPath = "/.well-known/jwks.json";

/** A key by which the daemon proves itself as a client, as stored. Its public half is read from the sealed one: who can write the store publishes no key of his. */
export interface ClientKey {
  /** RFC 7638 thumbprint, of SHA-256: 43 characters. */
  readonly kid: string;
  readonly type: ClientKeyType;
  readonly createdAtMs: number;
  /** It is published before. */
  readonly signsFromMs: number;
  /** When it leaves the published set; undefined while no other has taken its place. */
  readonly endsAtMs: number | undefined;
  /** PKCS #8 as PEM. */
  readonly sealed: SealedRecord;
}

/** The type whose keys sign by an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1); of no algorithm the default one. */
export function clientKeyTypeOf(algorithm: string): ClientKeyType {
  if (/^[RP]S\d/.test(algorithm)) return "RSA";
  if (algorithm.startsWith("Ed")) return "Ed25519";
  if (algorithm === "ES384") return "P-384";
  return algorithm === "ES512" ? "P-521" : "P-256";
}
