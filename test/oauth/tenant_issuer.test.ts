import { describe, expect, it, test } from "vitest";
import { processAuthorizationResponse } from "../../src/oauth/authorization_response.js";
import { fromDiscoveryDocument } from "../../src/oauth/authorization_server.js";
import { IdTokenError, processIdToken, verifySignature } from "../../src/oauth/id_token.js";
import { createOutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";
import { json, startScriptedServer } from "./scripted_server.js";
import { newSigningKey } from "./signing_key.js";

const keys = perTest(() => startScriptedServer());
const clock = new ManualClock(Date.UTC(2031, 4, 1));
const nowS = clock.nowMs() / 1000;
const tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const other = "9188040d-6c67-4c5b-b112-36a304b66dad";
const placeholder = "{tenantid}";
const at = (id: string) => `${keys.origin}/${id}/v2.0`;
const key = newSigningKey("k");

/** As login.microsoftonline.com publishes it for accounts of every tenant. */
const serverOf = (word = "common", named = at(placeholder)) =>
  fromDiscoveryDocument(
    at(word),
    JSON.stringify({
      issuer: named,
      authorization_endpoint: `${keys.origin}/authorize`,
      token_endpoint: `${keys.origin}/token`,
      jwks_uri: `${keys.origin}/keys`,
    }),
  );

const tokenOf = (claims: object) =>
  key.sign({ iss: at(tenant), tid: tenant, aud: "c", sub: "s", iat: nowS, exp: nowS + 60, ...claims });

async function verify(idToken: string, keyIssuer = at(placeholder)): Promise<string> {
  keys.script = json({ keys: [{ ...key.jwk, issuer: keyIssuer }] });
  const server = serverOf();
  const client = { clientId: "c", method: "none" as const };
  try {
    const judged = await processIdToken({ server, client, clock, nonce: "any" }, idToken);
    await verifySignature(server, judged, createOutboundFetch({ networks: loopbackNetworks }), clock);
    return judged.subject;
  } catch (error) {
    if (error instanceof IdTokenError) return error.violation;
    throw error;
  }
}

describe("a discovery document for accounts of many tenants", () => {
  it.each(["common", "organizations"])("is one of the issuer %s", (word) => {
    expect(serverOf(word).issuer).toBe(at(word));
  });

  it.each([
    ["tenant", placeholder],
    ["common", other],
  ])("of %s is none of an issuer where it names %s", (word, named) => {
    expect(() => serverOf(word, at(named))).toThrow("correct the issuer");
  });
});

describe("an id_token of one of them", () => {
  it.each<[what: string, claims: object, found: string]>([
    ["its tenant", {}, "s"],
    ["another tenant", { tid: other }, "iss"],
    ["no tenant", { tid: undefined }, "iss"],
    ["a tenant that is no id", { tid: "common", iss: "common" }, "iss"],
    ["the placeholder", { tid: placeholder, iss: placeholder }, "iss"],
  ])("is judged by the issuer of %s", async (_what, { iss, ...claims }: { iss?: string }, found) => {
    const issuer = iss === undefined ? {} : { iss: at(iss) };
    expect(await verify(tokenOf({ ...claims, ...issuer }))).toBe(found);
  });

  it("is signed by a key of its tenant, or of all", async () => {
    expect(await verify(tokenOf({}), at(tenant))).toBe("s");
    expect(await verify(tokenOf({}), at(other))).toBe("signature");
  });
});

test("an authorization response may name the issuer of any tenant", () => {
  const judge = (iss: string) => {
    const query = new URLSearchParams({ state: "st", code: "x", iss });
    return processAuthorizationResponse(serverOf(), "c", query, "st").kind;
  };
  expect(judge(at(tenant))).toBe("code");
  expect([at("common"), at(placeholder), `${at(tenant)}/`, "https://evil.example"].map(judge)).toEqual([
    "code",
    ...Array(3).fill("invalid"),
  ]);
});
