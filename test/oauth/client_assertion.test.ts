import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";
import type * as oauth from "oauth4webapi";
import { describe, expect, test } from "vitest";
import { plainOAuth2 } from "../../src/model/providers/profile_fields.js";
import type { OAuth2Options, TokenEndpointAuthMethod } from "../../src/model/providers/profile_settings.js";
import { manualAuthorizationServer } from "../../src/oauth/authorization_server.js";
import { signingKeyOf } from "../../src/oauth/client_assertion.js";
import { clientAuthentication, clientMetadata } from "../../src/oauth/client_authentication.js";
import { Secret } from "../../src/runtime/secret.js";
import { ManualClock } from "../fakes/manual_clock.js";

const server = manualAuthorizationServer({
  issuer: "https://op.example",
  authUrl: "",
  tokenUrl: "https://op.example/token",
  jwksUrl: "",
});
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" });
const ed25519 = generateKeyPairSync("ed25519");

const pem = (key: KeyObject, type: "pkcs8" | "pkcs1" | "sec1" = "pkcs8"): string =>
  key.export({ type, format: "pem" } as never) as string;
const jwk = (key: KeyObject, more: object = {}): string =>
  JSON.stringify({ ...key.export({ format: "jwk" }), ...more });

/** What the server gets, by the method and its options. */
async function assertion(
  secret: string,
  method: TokenEndpointAuthMethod = "private_key_jwt",
  options: Partial<OAuth2Options> = {},
  metadata: oauth.AuthorizationServer = server.metadata,
): Promise<string> {
  const signing = { ...plainOAuth2, ...options };
  const client = { clientId: "machine", clientSecret: new Secret(secret), method, signing };
  const body = new URLSearchParams();
  const clock = new ManualClock(1_900_000_000_000);
  await clientAuthentication(client)(metadata, clientMetadata(client, clock), body, new Headers());
  expect(body.get("client_assertion_type")).toBe("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  expect(body.get("client_secret")).toBeNull();
  return body.get("client_assertion") ?? "";
}

describe("a client that signs", () => {
  test.each([
    ["PKCS #8", pem(rsa.privateKey), rsa.publicKey, "RS256"],
    ["PKCS #1", pem(rsa.privateKey, "pkcs1"), rsa.publicKey, "RS256"],
    ["line ends as two characters", pem(rsa.privateKey).replaceAll("\n", "\\n"), rsa.publicKey, "RS256"],
    ["P-256 as SEC 1", pem(p256.privateKey, "sec1"), p256.publicKey, "ES256"],
    ["P-384", pem(p384.privateKey), p384.publicKey, "ES384"],
    ["P-521 as JWK", jwk(p521.privateKey), p521.publicKey, "ES512"],
    ["Ed25519", pem(ed25519.privateKey), ed25519.publicKey, "EdDSA"],
    [
      "a JWK that names its algorithm",
      jwk(rsa.privateKey, { alg: "PS384", kid: "k1" }),
      rsa.publicKey,
      "PS384",
    ],
  ])("signs with %s", async (_, secret, publicKey, alg) => {
    const { protectedHeader, payload } = await jwtVerify(await assertion(secret), publicKey, {
      algorithms: [alg],
      audience: "https://op.example",
      issuer: "machine",
      subject: "machine",
      currentDate: new Date(1_900_000_000_000),
      clockTolerance: 1,
    });
    expect(protectedHeader.alg).toBe(alg);
    expect(protectedHeader.kid).toBe(secret.includes('"kid"') ? "k1" : undefined);
    const { aud, iat = 0, exp = 0 } = payload;
    // The library counts in whole seconds of the machine's clock.
    expect([aud, exp - iat, Math.abs(iat - 1_900_000_000) <= 1]).toEqual(["https://op.example", 60, true]);
  });

  test("has a jti for each request", async () => {
    const secret = pem(p256.privateKey);
    const ids = [await assertion(secret), await assertion(secret)].map((jwt) => decodeJwt(jwt).jti);
    expect(new Set(ids).size).toBe(2);
  });

  test("uses the algorithm, the key id and the audience that the profile names", async () => {
    const options = {
      clientSigningAlg: "PS256",
      clientKeyId: "key-7",
      clientAssertionAudience: "token_endpoint",
    } as const;
    const jwt = await assertion(pem(rsa.privateKey), "private_key_jwt", options);
    expect(decodeProtectedHeader(jwt)).toMatchObject({ alg: "PS256", kid: "key-7" });
    expect(decodeJwt(jwt).aud).toBe("https://op.example/token");
  });

  test("names the token endpoint where the profile knows no issuer", async () => {
    const { metadata } = manualAuthorizationServer({
      issuer: "",
      authUrl: "",
      tokenUrl: "https://op.example/t",
      jwksUrl: "",
    });
    const jwt = await assertion(pem(p256.privateKey), "private_key_jwt", {}, metadata);
    expect(decodeJwt(jwt).aud).toBe("https://op.example/t");
  });

  test("signs with the client secret by HMAC", async () => {
    const secret = "a client secret of more than 32 characters";
    const { payload } = await jwtVerify(await assertion(secret, "client_secret_jwt"), Buffer.from(secret), {
      algorithms: ["HS256"],
      currentDate: new Date(1_900_000_000_000),
      clockTolerance: 1,
    });
    expect(payload).toMatchObject({ iss: "machine", sub: "machine", aud: "https://op.example" });
  });

  test.each([
    ["nothing of the kind", "s3cret", /is no private key/],
    ["a public key", rsa.publicKey.export({ type: "spki", format: "pem" }) as string, /is no private key/],
    ["a public JWK", jwk(rsa.publicKey), /is no JWK of a private key/],
    ["a JWK of a secret", '{"kty":"oct","k":"AAAA"}', /is no JWK of a private key/],
    ["half a JWK", '{"kty":', /is no JSON/],
    [
      "a short RSA key",
      pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey),
      /less than 2048 bits/,
    ],
    [
      "another curve",
      pem(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey),
      /is neither RSA/,
    ],
    ["a key of another use", pem(generateKeyPairSync("x25519").privateKey), /is neither RSA/],
    ["an alg that does not fit", jwk(p256.privateKey, { alg: "RS256" }), /alg does not fit/],
    [
      "an encrypted key",
      p256.privateKey.export({
        type: "pkcs8",
        format: "pem",
        cipher: "aes-256-cbc",
        passphrase: "x",
      }) as string,
      /is encrypted/,
    ],
  ])("says what is wrong with %s, and nothing of its content", async (_, text, says) => {
    const failed = await signingKeyOf(new Secret(text), plainOAuth2).catch((error: unknown) => error);
    expect(failed).toMatchObject({ kind: "client", message: expect.stringMatching(says) });
    expect(String(failed)).not.toContain(text.slice(0, 12));
  });

  test("says which algorithms a key has when the profile wants another", async () => {
    const key = new Secret(pem(p256.privateKey));
    const options = { ...plainOAuth2, clientSigningAlg: "RS256" };
    await expect(signingKeyOf(key, options)).rejects.toThrow("does not sign by RS256, but by ES256");
  });
});
