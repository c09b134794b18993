import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { processAuthorizationResponse, stateOf } from "../../src/oauth/authorization_response.js";
import { manualAuthorizationServer } from "../../src/oauth/authorization_server.js";
import { verifySignedResponse } from "../../src/oauth/signed_response.js";
import { OutboundError, type OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { newSigningKey } from "./signing_key.js";

const issuer = "https://idp.example";
const [key, next, stranger] = [newSigningKey("k1"), newSigningKey("k2"), newSigningKey("k1")];
const clock = new ManualClock(Date.parse("2027-01-01T00:00:00Z"));
const now = clock.nowMs() / 1000;
const claims = { iss: issuer, aud: "client", exp: now + 600, state: "st", code: "c" };

let published: readonly object[];
let fetched: number;
const fetch: OutboundFetch = async () => {
  fetched++;
  if (published.length === 0) throw new OutboundError("timeout", "after_send", "idp.example");
  return new Response(JSON.stringify({ keys: published }));
};
const serverOf = (jwksUrl = `${issuer}/jwks`) =>
  manualAuthorizationServer({ issuer, authUrl: `${issuer}/auth`, tokenUrl: `${issuer}/token`, jwksUrl });
let server = serverOf();

beforeEach(() => {
  published = [key.jwk];
  fetched = 0;
  server = serverOf();
});

/** What becomes of the response: its code or error, or the reason for which it is refused. */
async function judged(query: string | URLSearchParams): Promise<string> {
  const asked = {
    server,
    client: { clientId: "client", method: "none" as const },
    query: new URLSearchParams(query),
    fetch,
    clock,
  };
  const opened = await verifySignedResponse(asked);
  if ("kind" in opened) return opened.reason;
  const response = processAuthorizationResponse(server, "client", opened, "st");
  if (response.kind === "invalid") return response.reason;
  return response.kind === "error" ? `error ${response.error}` : `code ${response.params.get("code")}`;
}

const of = (jwt: string): URLSearchParams => new URLSearchParams({ response: jwt });

describe("a signed authorization response (JARM)", () => {
  test("gives its parameters, and nothing beside it counts", async () => {
    expect(await judged(of(key.sign(claims)))).toBe("code c");
    const { code: _, ...denied } = { ...claims, error: "access_denied" };
    expect(await judged(of(key.sign(denied)))).toBe("error access_denied");
    expect(await judged(`code=forged&state=other&response=${key.sign(claims)}`)).toBe("code c");
  });

  const [head = "", body = ""] = key.sign(claims).split(".");
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const byHmac = (): string => {
    const input = `${part({ alg: "HS256", kid: "k1" })}.${body}`;
    return `${input}.${createHmac("sha256", JSON.stringify(key.jwk)).update(input).digest("base64url")}`;
  };
  test.each([
    ["none at all", "code=c&state=st", "unsigned_response"],
    ["an empty one", "response=&code=c&state=st", "unsigned_response"],
    ["two", `response=${key.sign(claims)}&response=${key.sign(claims)}`, "duplicate_parameter"],
    ["no JWT", "response=x", "response_signature"],
    [
      "an encrypted one",
      `response=${part({ alg: "RSA-OAEP", enc: "A256GCM" })}.a.b.c.d`,
      "response_signature",
    ],
    ["one of another key of that name", of(stranger.sign(claims)), "response_signature"],
    ["one without a signature", of(`${part({ alg: "none" })}.${body}.`), "response_signature"],
    ["one by HMAC with the public key", of(byHmac()), "response_signature"],
    [
      "another body under the signature",
      of(`${head}.${part({ ...claims, code: "d" })}.${key.sign(claims).split(".")[2]}`),
      "response_signature",
    ],
    ["one for another client", of(key.sign({ ...claims, aud: "other" })), "response_claims"],
    ["one for nobody", of(key.sign({ ...claims, aud: undefined })), "response_claims"],
    ["one that is over", of(key.sign({ ...claims, exp: now - 31 })), "response_claims"],
    ["one without an end", of(key.sign({ ...claims, exp: undefined })), "response_claims"],
    ["one that is not yet good", of(key.sign({ ...claims, nbf: now + 31 })), "response_claims"],
    ["one without iss", of(key.sign({ ...claims, iss: undefined })), "response_claims"],
    ["one of another issuer", of(key.sign({ ...claims, iss: "https://evil.example" })), "iss_mismatch"],
    ["one of another state", of(key.sign({ ...claims, state: "other" })), "state_mismatch"],
    ["one without a state", of(key.sign({ ...claims, state: undefined })), "state_mismatch"],
  ])("is refused: %s", async (_what, query, reason) => {
    expect(await judged(query)).toBe(reason);
  });

  test("is verified by a key that was published since, for which the keys are fetched once more", async () => {
    expect(await judged(of(key.sign(claims)))).toBe("code c");
    published = [key.jwk, next.jwk];
    expect(await judged(of(next.sign(claims)))).toBe("code c");
    expect(fetched).toBe(2);
  });

  test("is verified by any of several keys where it names none", async () => {
    published = [next.jwk, key.jwk];
    expect(await judged(of(key.sign(claims, { kid: undefined })))).toBe("code c");
    expect(await judged(of(key.sign({ ...claims, aud: "other" }, { kid: undefined })))).toBe(
      "response_claims",
    );
    published = [next.jwk, newSigningKey("k3").jwk];
    server = serverOf();
    expect(await judged(of(key.sign(claims, { kid: undefined })))).toBe("response_signature");
  });

  test("is refused without keys", async () => {
    published = [];
    expect(await judged(of(key.sign(claims)))).toBe("keys_unavailable");
    server = serverOf("");
    expect(await judged(of(key.sign(claims)))).toBe("keys_unavailable");
  });

  test("says whose request it answers, before it is verified", () => {
    expect(stateOf(of(stranger.sign(claims)))).toBe("st");
    expect(stateOf(new URLSearchParams("state=a"))).toBe("a");
    for (const response of ["", "x", "a.b.c", `${head}.${part({ state: 5 })}.x`])
      expect(stateOf(new URLSearchParams({ response }))).toBe("");
  });
});
