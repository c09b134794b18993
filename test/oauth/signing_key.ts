import { generateKeyPairSync, sign } from "node:crypto";

export interface SigningKey {
  readonly jwk: Record<string, unknown>;
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): string;
}

/** An RS256 key of a provider. */
export function newSigningKey(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");
  return {
    jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" },
    sign(claims, header = {}) {
      const input = `${encode({ alg: "RS256", kid, ...header })}.${encode(claims)}`;
      return `${input}.${sign("sha256", Buffer.from(input), privateKey).toString("base64url")}`;
    },
  };
}
