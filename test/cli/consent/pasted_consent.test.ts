import { describe, expect, it } from "vitest";
import { authorizationResponse } from "../../../src/cli/consent/pasted_consent.js";

const redirectUri = "http://localhost:8080/auth/callback/github";
const wrong = "That is not the address";

describe("a pasted address", () => {
  it.each([
    ["as it is", "http://localhost:8080/auth/callback/github?code=c&state=s1"],
    ["with space around it", "  http://localhost:8080/auth/callback/github?code=c&state=s1\n"],
    ["of another spelling of this machine", "http://127.0.0.1:8080/auth/callback/github?code=c&state=s1"],
    // What is sent is sent to the redirect URI, whatever host was pasted.
    ["of another host", "https://attacker.example/auth/callback/github?code=c&state=s1"],
    ["with a fragment", "http://localhost:8080/auth/callback/github?code=c&state=s1#x"],
  ])("%s is the answer to bring to the redirect URI", (_name, text) => {
    expect(String(authorizationResponse(text, redirectUri, "s1"))).toBe(`${redirectUri}?code=c&state=s1`);
  });

  it("of a denial is brought, too", () => {
    const text = `${redirectUri}?error=access_denied&state=s1&iss=https%3A%2F%2Fi.example`;
    expect(String(authorizationResponse(text, redirectUri, "s1"))).toBe(text);
  });

  it("whose response is signed is brought", () => {
    const text = `${redirectUri}?response=e30.e30.AAAA`;
    expect(String(authorizationResponse(text, redirectUri, "s1"))).toBe(text);
  });

  it.each([
    ["", "That is no address"],
    ["localhost?", "That is no address"],
    ["c", "That is no address"],
    ["https://p.example/authorize?state=s1&client_id=x", wrong],
    ["http://localhost:8080/auth/callback/other?code=c&state=s1", wrong],
    [`${redirectUri}?state=s1`, wrong],
    [`${redirectUri}?code=c`, "answer to another link"],
    [`${redirectUri}?code=c&state=s2`, "answer to another link"],
  ])("that is none is told: %s", (text, sentence) => {
    expect(authorizationResponse(text, redirectUri, "s1")).toContain(sentence);
  });
});
