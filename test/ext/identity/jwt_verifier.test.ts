import { beforeEach, describe, expect, test } from "vitest";
import { IssuerError } from "../../../src/ext/identity/ask_issuer.js";
import { cooldownMs, IssuerKeys, maxAgeMs } from "../../../src/ext/identity/issuer_keys.js";
import { JwtVerifier } from "../../../src/ext/identity/jwt_verifier.js";
import { Unavailable } from "../../../src/model/errors.js";
import { type Algorithm, JwtSigner } from "../../fakes/jwt_issuer.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";

const issuer = "https://kubernetes.default.svc";
const audience = "nexusd";
const sub = "system:serviceaccount:agents:mailer";
const url = "https://kubernetes.default.svc/openid/v1/jwks";
const startMs = 1_800_000_000_000;
const nowS = startMs / 1000;
const valid = { iss: issuer, aud: audience, sub, exp: nowS + 3600, iat: nowS, nbf: nowS };

const signers = Object.fromEntries(
  (["RS256", "PS256", "ES256", "EdDSA"] as const).map((alg) => [alg, new JwtSigner(alg, alg)]),
) as Record<Algorithm, JwtSigner>;
const { ES256: signer, RS256: rsa } = signers;
const weak = new JwtSigner("weak", "RS256", 1024);
const unauthenticated = new JwtSigner("unauthenticated");

describe("JwtVerifier", () => {
  const clock = perTest(() => new ManualClock(startMs));
  let published: unknown;
  let asked: number;
  let reasons: unknown[];
  let warnings: unknown[];
  let verifier: JwtVerifier;
  beforeEach(() => {
    asked = 0;
    reasons = [];
    warnings = [];
    published = { keys: [...Object.values(signers), weak].map(({ jwk }) => jwk) };
    const keys = new IssuerKeys({
      source: { from: "url", url },
      ask: async () => {
        asked++;
        if (published instanceof Error) throw published;
        return published;
      },
      clock,
      log: { ...silentLog, warn: (fields) => void warnings.push(fields) },
    });
    const debug = (fields: object) => void reasons.push((fields as { reason: unknown }).reason);
    verifier = new JwtVerifier({ issuer, audience, keys, clock, log: { ...silentLog, debug } });
  });
  const nameOf = async (token: string) => (await verifier.principalOf(token))?.name;

  test.each(Object.keys(signers) as Algorithm[])("takes %s", async (alg) => {
    expect(await verifier.principalOf(signers[alg].sign({ claims: valid }))).toEqual({
      name: `jwt:${sub}`,
      kind: "jwt",
      expiresAtMs: startMs + 3_600_000,
    });
  });

  const { exp: _exp, ...withoutExp } = valid;
  const { sub: _sub, ...withoutSub } = valid;
  const { aud: _aud, ...withoutAud } = valid;
  const { iss: _iss, ...withoutIss } = valid;
  const tampered = (token: string): string => {
    const [header = "", , signature = ""] = token.split(".");
    const claims = Buffer.from(JSON.stringify({ ...valid, sub: "admin" })).toString("base64url");
    return [header, claims, signature].join(".");
  };

  test.each<[string, string]>([
    ["alg none", JwtSigner.unsigned(valid)],
    ["alg None", JwtSigner.unsigned(valid, "None")],
    ["HS256 with the public key as secret", rsa.signWithPublicKey(valid)],
    ["another key under the same kid", new JwtSigner("ES256").sign({ claims: valid })],
    ["an unknown kid", unauthenticated.sign({ claims: valid })],
    ["a kid of a key of another algorithm", signer.sign({ claims: valid, header: { kid: "RS256" } })],
    [
      "no kid where several keys fit not",
      unauthenticated.sign({ claims: valid, header: { kid: undefined } }),
    ],
    ["claims changed after signing", tampered(signer.sign({ claims: valid }))],
    ["a signature cut off", signer.sign({ claims: valid }).replace(/\.[^.]*$/, ".")],
    ["an RSA key of 1024 bits", weak.sign({ claims: valid })],
    ["jwk in the header", unauthenticated.sign({ claims: valid, header: { jwk: unauthenticated.jwk } })],
    [
      "jku in the header",
      unauthenticated.sign({ claims: valid, header: { jku: "https://evil.example/jwks" } }),
    ],
    [
      "x5u in the header",
      unauthenticated.sign({ claims: valid, header: { x5u: "https://evil.example/x5" } }),
    ],
    ["an unknown critical header", signer.sign({ claims: valid, header: { crit: ["x"], x: 1 } })],
    ["another issuer", signer.sign({ claims: { ...valid, iss: "https://evil.example" } })],
    ["the issuer with a slash", signer.sign({ claims: { ...valid, iss: `${issuer}/` } })],
    ["no issuer", signer.sign({ claims: withoutIss })],
    ["another audience", signer.sign({ claims: { ...valid, aud: "vault" } })],
    ["other audiences", signer.sign({ claims: { ...valid, aud: ["vault", "nexusd.example"] } })],
    ["no audience", signer.sign({ claims: withoutAud })],
    ["an end a second ago", signer.sign({ claims: { ...valid, exp: nowS - 1 } })],
    ["an end now", signer.sign({ claims: { ...valid, exp: nowS } })],
    ["no end", signer.sign({ claims: withoutExp })],
    ["an end that is no number", signer.sign({ claims: { ...valid, exp: "never" } })],
    ["a beginning in a minute", signer.sign({ claims: { ...valid, nbf: nowS + 60 } })],
    ["an issue in a minute", signer.sign({ claims: { ...valid, iat: nowS + 60 } })],
    ["no subject", signer.sign({ claims: withoutSub })],
    ["an empty subject", signer.sign({ claims: { ...valid, sub: "" } })],
    ["a subject that is a number", signer.sign({ claims: { ...valid, sub: 1 } })],
    ["a subject with a line feed", signer.sign({ claims: { ...valid, sub: "a\nb" } })],
    ["a subject that writes backwards", signer.sign({ claims: { ...valid, sub: "a\u202eb" } })],
    ["a subject of 256 bytes", signer.sign({ claims: { ...valid, sub: "x".repeat(256) } })],
    ["no JSON in its claims", "eyJhbGciOiJFUzI1NiJ9.AAAA.AAAA"],
  ])("takes nobody's word by %s", async (_what, token) => {
    expect(await nameOf(token)).toBeUndefined();
    expect(reasons).toHaveLength(1);
  });

  test.each([
    ["an audience among others", { aud: ["vault", audience] }],
    ["a clock that is 20 s ahead", { iat: nowS + 20, nbf: nowS + 20 }],
    ["a subject in any script", { sub: "агент 7" }],
  ])("takes %s", async (_what, claims) => {
    expect(await nameOf(signer.sign({ claims: { ...valid, ...claims } }))).toBe(
      `jwt:${(claims as { sub?: string }).sub ?? sub}`,
    );
  });

  test("verifies a token once, answers at once from then on, and forgets it when it ends", async () => {
    const token = signer.sign({ claims: valid });
    await verifier.principalOf(token);
    const again = verifier.principalOf(token);
    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toMatchObject({ name: `jwt:${sub}` });
    clock.jump(3_600_000);
    expect(verifier.principalOf(token)).toBeUndefined();
    expect(await verifier.principalOf(token)).toBeUndefined();
  });

  test("keeps a token that it refused out of what it remembers", async () => {
    const token = signer.sign({ claims: { ...valid, nbf: nowS + 60 } });
    expect(await nameOf(token)).toBeUndefined();
    clock.advance(60_000);
    expect(await nameOf(token)).toBe(`jwt:${sub}`);
  });

  test("looks for an unknown key once in a while, however many tokens name one", async () => {
    await nameOf(signer.sign({ claims: valid }));
    expect(asked).toBe(1);
    clock.advance(cooldownMs);
    const flood = Array.from({ length: 200 }, (_, index) =>
      unauthenticated.sign({ claims: valid, header: { kid: `k${index}` } }),
    );
    expect(await Promise.all(flood.map(nameOf))).toEqual(flood.map(() => undefined));
    expect(asked).toBe(2);
    published = { keys: [unauthenticated.jwk] };
    expect(await nameOf(unauthenticated.sign({ claims: valid }))).toBeUndefined();
    clock.advance(cooldownMs);
    expect(await nameOf(unauthenticated.sign({ claims: valid }))).toBe(`jwt:${sub}`);
    expect(asked).toBe(3);
  });

  test("a key that the issuer withdrew verifies nothing after ten minutes, not even what it had verified", async () => {
    const token = signer.sign({ claims: valid });
    expect(await nameOf(token)).toBe(`jwt:${sub}`);
    published = { keys: [rsa.jwk] };
    clock.advance(maxAgeMs);
    // The call that finds the keys old fetches new ones in the background.
    expect(await nameOf(token)).toBe(`jwt:${sub}`);
    await expect.poll(() => nameOf(token)).toBeUndefined();
    expect(await nameOf(rsa.sign({ claims: valid }))).toBe(`jwt:${sub}`);
  });

  test("keeps the keys it has while the issuer does not answer", async () => {
    const token = signer.sign({ claims: valid });
    await nameOf(token);
    published = new IssuerError("the answer has status 503");
    clock.advance(maxAgeMs);
    expect(await nameOf(token)).toBe(`jwt:${sub}`);
    await expect.poll(() => warnings).toHaveLength(1);
    expect(await nameOf(signer.sign({ claims: { ...valid, jti: "2" } }))).toBe(`jwt:${sub}`);
    expect(warnings).toEqual([{ from: "url", reason: "the answer has status 503" }]);
  });

  test("cannot tell who calls as long as it has no keys, and says that rather than refuse", async () => {
    const good = published;
    published = new IssuerError("ECONNREFUSED");
    const token = signer.sign({ claims: valid });
    await expect(verifier.principalOf(token)).rejects.toBeInstanceOf(Unavailable);
    published = good;
    clock.advance(1_000);
    expect(await nameOf(token)).toBe(`jwt:${sub}`);
  });

  test.each<[string, unknown]>([
    ["no object", 7],
    ["no keys", { keys: "x" }],
    ["keys that are none", { keys: [1, null] }],
    ["a symmetric key alone", { keys: [{ kty: "oct", kid: "ES256", k: "c2VjcmV0", alg: "HS256" }] }],
    ["a thousand keys", { keys: Array.from({ length: 1_000 }, () => signer.jwk) }],
  ])("takes nothing from a set of %s", async (_what, document) => {
    published = document;
    const answer = await Promise.resolve(verifier.principalOf(signer.sign({ claims: valid }))).catch(
      (error: unknown) => error,
    );
    expect(answer === undefined || answer instanceof Unavailable).toBe(true);
  });
});
