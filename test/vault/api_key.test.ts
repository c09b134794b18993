import { describe, expect, it } from "vitest";
import { apiKeyId, digestOf, matchesDigest, newApiKey } from "../../src/vault/api_key.js";

describe("an API key", () => {
  it("has a public id, a secret that prints as nothing, and a digest that it matches", () => {
    const { id, key, digest } = newApiKey();
    expect(key.reveal()).toMatch(new RegExp(`^nxk_${id}_[A-Za-z0-9_-]{43}$`));
    expect(`${key} ${JSON.stringify(key)}`).not.toContain(key.reveal());
    expect(apiKeyId(key.reveal())).toBe(id);
    expect(digest).toEqual(digestOf(key.reveal()));
    expect(matchesDigest(key.reveal(), digest)).toBe(true);
    expect(newApiKey().key.reveal()).not.toBe(key.reveal());
  });

  it("is told from another secret, and from what has no digest", () => {
    const { key, digest } = newApiKey();
    expect(matchesDigest(newApiKey().key.reveal(), digest)).toBe(false);
    expect(matchesDigest(key.reveal(), undefined)).toBe(false);
    expect(matchesDigest("", digest)).toBe(false);
  });

  it.each([
    "",
    "nxk_",
    `nxk_${"a".repeat(43)}`,
    `nxk_0123456789abcdef_${"a".repeat(42)}`,
    `nxk_0123456789abcdef_${"a".repeat(44)}`,
    `nxk_0123456789ABCDEF_${"a".repeat(43)}`,
    `nxk_0123456789abcdef_${"a".repeat(43)}\n`,
    `xnxk_0123456789abcdef_${"a".repeat(43)}`,
    `nxk___proto_________${"a".repeat(44)}`,
  ])("is not %j", (text) => {
    expect(apiKeyId(text)).toBeUndefined();
  });
});
