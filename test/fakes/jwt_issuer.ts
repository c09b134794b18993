import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export type Algorithm = "RS256" | "PS256" | "ES256" | "EdDSA";

export interface SignedToken {
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly header?: Readonly<Record<string, unknown>>;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Signs tokens by hand, so that it can sign what no library would. */
export class JwtSigner {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;

  constructor(
    readonly kid = "key-1",
    readonly alg: Algorithm = "ES256",
    modulusLength = 2048,
  ) {
    const pair =
      alg === "ES256"
        ? generateKeyPairSync("ec", { namedCurve: "P-256" })
        : alg === "EdDSA"
          ? generateKeyPairSync("ed25519")
          : generateKeyPairSync("rsa", { modulusLength });
    this.privateKey = pair.privateKey;
    this.publicKey = pair.publicKey;
  }

  /** As a key set holds it. */
  get jwk(): Record<string, unknown> {
    return { ...this.publicKey.export({ format: "jwk" }), kid: this.kid, use: "sig", alg: this.alg };
  }

  sign({ claims = {}, header = {} }: SignedToken): string {
    const input = `${encode({ alg: this.alg, kid: this.kid, ...header })}.${encode(claims)}`;
    return `${input}.${this.#signature(Buffer.from(input)).toString("base64url")}`;
  }

  /** The public key, as everybody has it, taken for a shared secret (RFC 8725, section 2.1). */
  signWithPublicKey(claims: Readonly<Record<string, unknown>>): string {
    const input = `${encode({ alg: "HS256", kid: this.kid })}.${encode(claims)}`;
    const secret = this.publicKey.export({ format: "pem", type: "spki" });
    return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
  }

  static unsigned(claims: Readonly<Record<string, unknown>>, alg = "none"): string {
    return `${encode({ alg })}.${encode(claims)}.`;
  }

  #signature(input: Buffer): Buffer {
    if (this.alg === "EdDSA") return sign(null, input, this.privateKey);
    if (this.alg === "ES256")
      return sign("sha256", input, { key: this.privateKey, dsaEncoding: "ieee-p1363" });
    // 6 is RSA_PKCS1_PSS_PADDING, 1 RSA_PKCS1_PADDING.
    return sign("sha256", input, {
      key: this.privateKey,
      padding: this.alg === "PS256" ? 6 : 1,
      saltLength: 32,
    });
  }
}
