import { describe, expect, it } from "vitest";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import type { OAuthClient } from "../../../src/oauth/client_authentication.js";
import { processRevocation, type RevocationOutcome, revoke } from "../../../src/oauth/grants/revocation.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../../src/runtime/clock.js";
import { Secret } from "../../../src/runtime/secret.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { hangUp, json, silence, startScriptedServer } from "../scripted_server.js";

describe("revoke", () => {
  const server = perTest(() => startScriptedServer());

  const client: OAuthClient = {
    clientId: "client",
    clientSecret: new Secret("s3cret:%"),
    method: "client_secret_basic",
  };
  const send = (change: Partial<Parameters<typeof revoke>[0]> = {}): Promise<RevocationOutcome> =>
    revoke({
      server: manualAuthorizationServer({
        issuer: "",
        authUrl: `${server.origin}/auth`,
        tokenUrl: `${server.origin}/token`,
        jwksUrl: "",
      }),
      endpoint: `${server.origin}/revoke?tenant=1`,
      client,
      token: new Secret("the-token"),
      tokenTypeHint: "refresh_token",
      clock: new SystemClock(),
      fetch: createOutboundFetch({ networks: loopbackNetworks, timeoutMs: 2_000 }),
      ...change,
    });

  it("sends the token with its hint, and the client as the profile says", async () => {
    expect(await send()).toEqual({ kind: "revoked" });
    const { method, path, headers, form } = server.requests[0] ?? {};
    expect([method, path]).toEqual(["POST", "/revoke?tenant=1"]);
    expect(Object.fromEntries(form ?? [])).toEqual({ token: "the-token", token_type_hint: "refresh_token" });
    expect(headers?.authorization).toBe(`Basic ${Buffer.from("client:s3cret%3A%25").toString("base64")}`);
    await send({ client: { ...client, method: "client_secret_post" } });
    expect(server.requests[1]?.form.get("client_secret")).toBe("s3cret:%");
    await send({ client: { clientId: "public", method: "none" } });
    expect(server.requests[2]?.form.get("client_id")).toBe("public");
  });

  it("is to be repeated when there is no answer, or the secret is missing", async () => {
    server.script = hangUp;
    expect(await send()).toMatchObject({ kind: "retry", reason: "network" });
    server.script = silence;
    expect(await send()).toMatchObject({ kind: "retry", reason: "timeout" });
    const withoutSecret = { client: { ...client, clientSecret: undefined } };
    expect(await send(withoutSecret)).toMatchObject({ kind: "retry", reason: "invalid_client" });
    server.script = json({}, 503, { "retry-after": "7" });
    expect(await send()).toEqual({ kind: "retry", reason: "status_503", retryAfterMs: 7000 });
    expect(await send({ endpoint: "http://op.example/revoke" })).toMatchObject({ kind: "refused" });
  });
});

describe("processRevocation", () => {
  const judge = (status: number, body: unknown = "") =>
    processRevocation(status, typeof body === "string" ? body : JSON.stringify(body), {
      retryAfterMs: undefined,
    });

  it.each([
    [200, "", "revoked"],
    [204, "", "revoked"],
    [400, { error: "invalid_token" }, "revoked"],
    [400, { error: "unsupported_token_type" }, "refused"],
    [400, { error: "invalid_request" }, "refused"],
    [400, { error: "invalid_client" }, "retry"],
    [401, { error: "invalid_client" }, "retry"],
    [400, "<html>", "retry"],
    [404, "", "retry"],
    [429, { error: "slow_down" }, "retry"],
    [500, { error: "invalid_token" }, "retry"],
  ])("takes %i %j for %s", (status, body, kind) => {
    expect(judge(status, body).kind).toBe(kind);
  });

  it("does not take over text of the provider", () => {
    expect(judge(400, { error: "Token <b>x</b>" })).toMatchObject({ kind: "retry", reason: "status_400" });
  });
});
