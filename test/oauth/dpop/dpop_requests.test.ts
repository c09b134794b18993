import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { newDpopKey } from "../../../src/oauth/dpop/dpop_key.js";
import { DpopNonces } from "../../../src/oauth/dpop/dpop_nonces.js";
import type { GrantFailure } from "../../../src/oauth/failure.js";
import { type RefreshGrant, refresh } from "../../../src/oauth/grants/refresh_grant.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { hangUp, json, type Script, startScriptedServer } from "../scripted_server.js";

const server = perTest(() => startScriptedServer());
const clock = perTest(() => new ManualClock(Date.UTC(2031, 4, 1)));
const nonces = perTest(() => Object.assign(new DpopNonces(), { close: () => undefined }));
const key = newDpopKey();

const bound = { access_token: "at", token_type: "DPoP", expires_in: 3600, refresh_token: "rt-2" };
const wanted = (nonce: string | undefined, status = 400): Script =>
  json({ error: "use_dpop_nonce" }, status, nonce === undefined ? {} : { "dpop-nonce": nonce });

/** The server's answers, in turn; the last stays. */
function answers(...scripts: readonly Script[]): void {
  let turn = 0;
  server.script = (response, request) => scripts[Math.min(turn++, scripts.length - 1)]?.(response, request);
}

function redeem(isRequired = false, more: Partial<RefreshGrant> = {}) {
  return refresh({
    server: manualAuthorizationServer({
      ...{ issuer: server.origin, authUrl: `${server.origin}/auth` },
      ...{ tokenUrl: `${server.origin}/token?tenant=1`, jwksUrl: "" },
    }),
    client: { clientId: "client", clientSecret: new Secret("secret"), method: "client_secret_basic" },
    refreshToken: new Secret("rt-1"),
    clock,
    fetch: createOutboundFetch({ networks: loopbackNetworks }),
    dpop: { key, nonces, isRequired },
    ...more,
  });
}

const failed = (isRequired = false): Promise<GrantFailure> =>
  redeem(isRequired).then(
    () => expect.unreachable(),
    (failure: GrantFailure) => failure,
  );
const proofs = () => server.requests.map(({ headers }) => decodeJwt(String(headers["dpop"])));

describe("the nonce of a token endpoint", () => {
  it("is put into the same request, which goes out once more, and into the next ones", async () => {
    answers(wanted("n-1"), json(bound));
    const { tokenSet } = await redeem();
    expect(tokenSet).toMatchObject({ tokenType: "DPoP" });
    await redeem();
    expect(proofs()).toMatchObject([
      { htm: "POST", htu: `${server.origin}/token` },
      { nonce: "n-1" },
      { nonce: "n-1" },
    ]);
    expect(proofs()[0]).not.toHaveProperty("nonce");
    expect(new Set(proofs().map(({ jti }) => jti)).size).toBe(3);
    expect(server.requests.map(({ form }) => form.get("refresh_token"))).toEqual(["rt-1", "rt-1", "rt-1"]);
    expect(proofs()[0]).not.toHaveProperty("ath");
    expect(proofs()[0]?.iat).toBe(Math.floor(clock.nowMs() / 1000));
  });

  it("goes with another assertion of the client, whose jti counts once", async () => {
    answers(wanted("n-1"), json(bound));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const client = { clientId: "client", clientSecret: new Secret(pem), method: "private_key_jwt" as const };
    await redeem(false, { client });
    const jtis = server.requests.map(({ form }) => decodeJwt(form.get("client_assertion") ?? "").jti);
    expect(new Set(jtis).size).toBe(2);
  });

  it("is the newest that any answer brought", async () => {
    answers(json(bound, 200, { "dpop-nonce": "n-1" }), json(bound, 200, { "dpop-nonce": "n-2" }));
    await redeem();
    await redeem();
    await redeem();
    expect(proofs().map(({ nonce }) => nonce)).toEqual([undefined, "n-1", "n-2"]);
  });

  it.each<[name: string, script: Script, sent: number]>([
    [
      "another one each time",
      (response, request) => wanted(`n-${server.requests.length}`)(response, request),
      2,
    ],
    ["none", wanted(undefined), 1],
    ["what is none", wanted("a b"), 1],
    ["one of 2049 characters", wanted("n".repeat(2_049)), 1],
    ["the one that the request had", wanted("n-0"), 1],
    ["one with 503", wanted("n-1", 503), 1],
  ])(
    "that is demanded as %s ends the attempt, which says nothing of the grant",
    async (_name, script, sent) => {
      nonces.remember(server.origin, "n-0");
      answers(script);
      const failure = await failed();
      expect(server.requests).toHaveLength(sent);
      expect(failure).toMatchObject({
        ...{ kind: "transient", isRefusal: false, isClientError: false },
        ...{ isClientRejected: false, mayConcernGrant: false },
      });
    },
  );

  it("does not hide that the second answer was lost, or what it says", async () => {
    answers(wanted("n-1"), hangUp);
    expect((await failed()).kind).toBe("ambiguous");
    answers(wanted("n-2"), json({ error: "invalid_grant" }, 400));
    expect((await failed()).kind).toBe("invalid_grant");
  });

  it("is kept for a bounded number of servers", () => {
    const few = new DpopNonces(2);
    for (const name of ["a", "b", "c"]) few.remember(name, `n-${name}`);
    expect([few.size, few.get("a"), few.get("c")]).toEqual([2, undefined, "n-c"]);
  });
});

describe("what a proof brings", () => {
  it("is a bound token, or one that is not, unless the profile demands it", async () => {
    answers(json({ ...bound, token_type: "Bearer" }));
    expect(await redeem()).toMatchObject({ tokenSet: { tokenType: "Bearer" } });
    const refused = await redeem(true);
    expect(refused).toMatchObject({
      accessTokenViolation: "the access token is not bound to the key (DPoP), which the profile demands",
    });
    expect(refused.tokenSet.refreshToken?.reveal()).toBe("rt-2");
  });

  it("is refused where none was made", async () => {
    answers(json(bound));
    expect(await redeem(false, { dpop: undefined })).toMatchObject({
      accessTokenViolation:
        "the access token is bound to a key (DPoP, RFC 9449), and the request proved none",
    });
    expect(server.requests[0]?.headers).not.toHaveProperty("dpop");
  });

  it("is an error of the profile when the proof is refused, never of the grant", async () => {
    answers(json({ error: "invalid_dpop_proof" }, 400));
    expect(await failed()).toMatchObject({ kind: "client", mayConcernGrant: false, isClientError: false });
  });

  it("never shows the private key", async () => {
    answers(json(bound));
    await redeem();
    const header = decodeProtectedHeader(String(server.requests[0]?.headers["dpop"]));
    expect(Object.keys(header.jwk ?? {}).sort()).toEqual(["crv", "kty", "x", "y"]);
    expect(`${key}`).toBe("[redacted]");
  });
});
