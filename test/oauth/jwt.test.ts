import { describe, expect, test } from "vitest";
import { jwtExpiryMs } from "../../src/oauth/jwt.js";

const nowMs = 1_800_000_000_000;
const nowSeconds = nowMs / 1000;

function jwt(claims: unknown): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
}

describe("jwtExpiryMs", () => {
  test.each<[name: string, token: string, expiresAtMs: number | undefined]>([
    ["exp", jwt({ exp: nowSeconds + 60 }), nowMs + 60_000],
    ["a fraction", jwt({ exp: nowSeconds + 60.0005 }), nowMs + 60_000],
    ["for ever", jwt({ exp: 1e15 }), nowMs + 315_360_000_000],
    ["the past", jwt({ exp: nowSeconds }), undefined],
    ["text", jwt({ exp: String(nowSeconds + 60) }), undefined],
    ["no exp", jwt({}), undefined],
    ["null", jwt(null), undefined],
    ["an opaque token", "ya29.a0Af", undefined],
    ["three parts that are no JWT", "a.b.c", undefined],
    ["five parts", "a.b.c.d.e", undefined],
  ])("%s", (_name, token, expiresAtMs) => {
    expect(jwtExpiryMs(token, nowMs)).toBe(expiresAtMs);
  });
});
