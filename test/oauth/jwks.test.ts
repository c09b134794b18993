import { generateKeyPairSync } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { JwksUnavailable, KeySet, processJwks } from "../../src/oauth/jwks.js";
import { OutboundError, type OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";

const rsa = (modulusLength: number) => ({
  ...generateKeyPairSync("rsa", { modulusLength }).publicKey.export({ format: "jwk" }),
  kid: "k",
});
const ec = (namedCurve: string) => ({
  ...generateKeyPairSync("ec", { namedCurve }).publicKey.export({ format: "jwk" }),
  kid: "k",
});
const strong = rsa(2048);
const text = (...keys: unknown[]): string => JSON.stringify({ keys });

describe("a set of keys", () => {
  test.each<[name: string, key: Record<string, unknown>]>([
    ["RSA of 2048 bits", strong],
    ["RSA of 4096 bits", rsa(4096)],
    ["P-256", ec("P-256")],
    ["P-384", ec("P-384")],
    ["P-521", ec("P-521")],
    ["Ed25519", { kty: "OKP", crv: "Ed25519", x: "x", kid: "k" }],
  ])("has %s", (_name, key) => {
    expect(processJwks(text(key))).toEqual({ keys: [key], refusedKeyIds: [] });
  });

  test.each<[name: string, key: Record<string, unknown>]>([
    ["RSA of 1024 bits", rsa(1024)],
    ["RSA of 2040 bits", rsa(2040)],
    [
      "RSA of 2048 bits in length, leading zeros counted",
      { ...rsa(1024), n: `${"A".repeat(171)}${rsa(1024).n}` },
    ],
    ["RSA of 16384 bits", { ...strong, n: "_".repeat(2731) }],
    ["RSA with the exponent 1", { ...strong, e: "AQ" }],
    ["RSA with an even exponent", { ...strong, e: "BA" }],
    ["RSA with an even modulus", { ...strong, n: `${strong.n?.slice(0, -2)}AA` }],
    ["RSA without a modulus", { ...strong, n: undefined }],
    ["RSA that is not base64url", { ...strong, n: "+/=" }],
    ["RSA with its private half", { ...strong, d: "AQAB" }],
    ["a secret", { kty: "oct", k: "c2VjcmV0", kid: "k", alg: "HS256" }],
    ["a secret that says RSA", { ...strong, k: "c2VjcmV0" }],
    ["secp256k1", ec("secp256k1")],
    ["Ed448", { kty: "OKP", crv: "Ed448", x: "x", kid: "k" }],
    ["X25519", { kty: "OKP", crv: "X25519", x: "x", kid: "k" }],
    ["an unknown kind", { kty: "none", kid: "k" }],
    ["no kind", { kid: "k" }],
  ])("leaves out %s, and goes on with the rest", (_name, key) => {
    const other = { ...strong, kid: "other" };
    expect(processJwks(text(key, other, null, "x", []))).toEqual({ keys: [other], refusedKeyIds: ["k"] });
  });

  test.each(["", "x", "[]", "{}", '{"keys":{}}', '{"keys":null}', text(...Array(101).fill(strong))])(
    "is not %.40s",
    (body) => {
      expect(() => processJwks(body)).toThrow(JwksUnavailable);
    },
  );

  test("may have 100 keys", () => {
    expect(processJwks(text(...Array(100).fill(strong))).keys).toHaveLength(100);
  });
});

describe("its fetching", () => {
  const clock = perTest(() => new ManualClock(0));
  let fetches: number;
  let answer: () => Promise<Response>;
  let keys: KeySet;
  const fetch: OutboundFetch = (url, request) => {
    fetches++;
    expect([url, request.maxBytes]).toEqual(["https://idp.example/jwks", 256 * 1024]);
    return answer();
  };
  beforeEach(() => {
    fetches = 0;
    answer = async () => new Response(text(strong));
    keys = new KeySet("https://idp.example/jwks");
  });

  /** As one who verifies does: with the set at hand first. */
  const renew = async (keyId: string | undefined) => {
    return await keys.renew(await keys.get(fetch, clock), keyId, fetch, clock);
  };

  test("serves for five minutes, and callers at once share one", async () => {
    await Promise.all([keys.get(fetch, clock), keys.get(fetch, clock), keys.get(fetch, clock)]);
    clock.advance(299_999);
    await keys.get(fetch, clock);
    expect(fetches).toBe(1);
    clock.advance(1);
    await keys.get(fetch, clock);
    expect(fetches).toBe(2);
  });

  test("each key id is looked for once a minute, however often it is asked for", async () => {
    await keys.get(fetch, clock);
    const renewed = await Promise.all(Array.from({ length: 1000 }, () => renew("k2")));
    expect(renewed.filter((jwks) => jwks !== undefined)).toHaveLength(1);
    expect(fetches).toBe(2);
    expect(await renew("k3")).toBeDefined();
    expect(fetches).toBe(3);
    clock.advance(59_999);
    expect(await renew("k2")).toBeUndefined();
    clock.advance(1);
    expect(await renew("k2")).toBeDefined();
    expect(fetches).toBe(4);
  });

  test("a thousand made-up key ids cost five fetches a minute, and the set can still be had", async () => {
    await keys.get(fetch, clock);
    clock.advance(299_000);
    for (let i = 0; i < 1000; i++) {
      expect((await renew(`made-up-${i}`)) !== undefined).toBe(i < 5);
    }
    for (let i = 0; i < 59; i++) {
      clock.advance(1000);
      expect(await renew(`again-${i}`)).toBeUndefined();
    }
    expect(fetches).toBe(6);
    answer = async () => new Response("", { status: 500 });
    clock.advance(1000);
    await expect(renew("k2")).rejects.toThrow("status 500");
    for (let i = 0; i < 10; i++) await renew(`later-${i}`).catch(() => undefined);
    expect(fetches).toBe(11);
    clock.advance(241_000);
    answer = async () => new Response(text(strong));
    expect((await keys.get(fetch, clock)).keys).toHaveLength(1);
  });

  test("one that was published while another was looked for is looked for by a fetch of its own", async () => {
    const tried = await keys.get(fetch, clock);
    let arrive: (response: Response) => void = () => undefined;
    answer = () => new Promise((resolve) => (arrive = resolve));
    const second = keys.renew(tried, "k2", fetch, clock);
    const third = keys.renew(tried, "k3", fetch, clock);
    answer = async () => new Response(text({ ...strong, kid: "k2" }, { ...strong, kid: "k3" }));
    arrive(new Response(text({ ...strong, kid: "k2" })));
    expect((await second)?.keys).toHaveLength(1);
    expect((await third)?.keys).toHaveLength(2);
    expect(fetches).toBe(3);
  });

  test("a dead place is asked six times a minute", async () => {
    answer = () => Promise.reject(new OutboundError("network", "before_send", "idp.example"));
    for (let i = 0; i < 50; i++) await expect(keys.get(fetch, clock)).rejects.toThrow(JwksUnavailable);
    expect(fetches).toBe(6);
    clock.advance(60_000);
    answer = async () => new Response(text(strong));
    expect((await keys.get(fetch, clock)).keys).toHaveLength(1);
  });

  test("one that was brought meanwhile is taken without a fetch", async () => {
    const tried = await keys.get(fetch, clock);
    answer = async () => new Response(text({ ...strong, kid: "k2" }));
    const renewed = await renew("k2");
    expect(await keys.renew(tried, "k2", fetch, clock)).toBe(renewed);
    expect(await keys.renew(tried, undefined, fetch, clock)).toBe(renewed);
    expect(fetches).toBe(2);
  });

  test("a look that failed does not count as one", async () => {
    await keys.get(fetch, clock);
    answer = () => Promise.reject(new OutboundError("network", "before_send", "idp.example"));
    await expect(renew("k2")).rejects.toThrow(JwksUnavailable);
    answer = async () => new Response(text({ ...strong, kid: "k2" }));
    expect((await renew("k2"))?.keys).toHaveLength(1);
  });

  test("a renewal that fails leaves the set that was known", async () => {
    await keys.get(fetch, clock);
    answer = async () => new Response("", { status: 500 });
    await expect(renew("k2")).rejects.toThrow("status 500");
    expect((await keys.get(fetch, clock)).keys).toHaveLength(1);
  });
});
