import { expect, test } from "vitest";
import { codeChallenge, newCodeVerifier } from "../../src/oauth/pkce.js";

test("a challenge is that of RFC 7636 appendix B", () => {
  const challenge = codeChallenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  expect(challenge).toBe("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
});

test("a verifier has 43 characters of the unreserved ones, and is never the same", () => {
  const verifiers = Array.from({ length: 100 }, newCodeVerifier);
  for (const verifier of verifiers) expect(verifier).toMatch(/^[\w-]{43}$/);
  expect(new Set(verifiers).size).toBe(verifiers.length);
});
