import { randomUUID } from "node:crypto";
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from "jose";
import { beforeEach, describe, expect, it } from "vitest";
import { tokenTypes } from "../../../../src/ext/grants/token_exchange.js";
import type { Restriction } from "../../../../src/model/access/scope_restriction.js";
import { onBehalfField } from "../../../../src/service/forwarding/on_behalf.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { failureOf } from "../../../daemon/errors.js";
import { goodTokens, ScriptedWorld } from "../../../daemon/scripted_world.js";
import { perTest } from "../../../lifetimes.js";
import { json, type Script, type ScriptedRequest } from "../../../oauth/scripted_server.js";

const audience = "https://billing.example";

describe("GetToken with an audience, a resource or scopes", () => {
  const world = perTest(() => ScriptedWorld.make());
  /** Token exchanges, in the order in which they came. */
  let exchanges: ScriptedRequest[];
  let answer: () => Script;

  beforeEach(() => {
    exchanges = [];
    let count = 0;
    answer = () => {
      count++;
      const issued = { access_token: `narrow-${count}-secret`, issued_token_type: tokenTypes.accessToken };
      return json({ ...issued, token_type: "Bearer", expires_in: 600 });
    };
    const tokens = goodTokens();
    world.answerToken = (request) => {
      if (request.form.get("grant_type")?.includes("token-exchange") !== true) return tokens(request);
      exchanges.push(request);
      return answer();
    };
  });

  const connected = async (more: object = {}, profile: object = {}): Promise<string> => {
    const oauth2_options = { token_exchange: "rfc8693", ...more };
    return await world.connect(
      await world.register({ oauth2_options, scopes: ["read", "write"], ...profile }),
    );
  };
  const get = async (connectionId: string, asked: object = { audience }) =>
    (await world.clients.tokens.getToken({ connectionId, ...asked })).token;
  const call = async (method: string, body: object, apiKey: string) => {
    const response = await fetch(`${world.place.httpUrl}/nexus.v1.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
      body: JSON.stringify(body),
    });
    return (await response.json()) as { key: string; token: { credentials: object } };
  };
  const refused = (connectionId: string, asked: object = { audience }) =>
    failureOf(world.clients.tokens.getToken({ connectionId, ...asked }));

  it("answers a token that the provider made of the connection's, and leaves the grant alone", async () => {
    const id = await connected();
    const before = world.tokenRequests.length;
    const token = await get(id, { audience, scopes: ["read"] });
    expect(token).toMatchObject({
      credentials: { access_token: "narrow-1-secret" },
      grantedScopes: ["read"],
      revision: 1n,
      tokenType: "Bearer",
      idToken: "",
    });
    expect(token?.refreshNotBefore).toBeUndefined();
    expect(Number(token?.expiresAt?.seconds) * 1000).toBeLessThanOrEqual(world.clock.nowMs() + 600_000);
    expect(Object.fromEntries(exchanges[0]?.form ?? [])).toMatchObject({
      subject_token: "access-1-secret",
      audience,
      scope: "read",
      client_id: "the-client",
      client_secret: "the-client-secret",
    });
    expect(world.tokenRequests.length - before).toBe(1);
    const own = (await world.clients.tokens.getToken({ connectionId: id })).token;
    expect(own).toMatchObject({ credentials: { access_token: "access-1-secret" }, revision: 1n });
  });

  it("makes one request however many ask, and keeps each target apart", async () => {
    const id = await connected();
    const tokens = await Promise.all(
      Array.from({ length: 12 }, () => get(id, { scopes: ["write", "read"] })),
    );
    expect(new Set(tokens.map((token) => token?.credentials["access_token"]))).toEqual(
      new Set(["narrow-1-secret"]),
    );
    await get(id, { scopes: ["read", "write"] });
    expect(exchanges).toHaveLength(1);
    const reads = await auditEvents(world.clients, { eventType: "token_retrieved" });
    expect(reads.map(({ reason }) => reason)).toEqual(["scope=read write"]);
    await get(id, { scopes: ["read"] });
    await get(id, { scopes: ["read"], resource: "https://a.example" });
    await get(id, { audience });
    expect(exchanges).toHaveLength(4);
  });

  it("makes another one near its end, and after each refresh of the connection", async () => {
    const id = await connected();
    await get(id);
    world.clock.advance(470_000);
    await get(id);
    expect(exchanges).toHaveLength(1);
    world.clock.advance(20_000);
    expect((await get(id))?.credentials).toEqual({ access_token: "narrow-2-secret" });
    await world.clients.tokens.refreshToken({ connectionId: id });
    expect(await get(id)).toMatchObject({ credentials: { access_token: "narrow-3-secret" }, revision: 2n });
    expect(exchanges[2]?.form.get("subject_token")).toBe("access-2-secret");
  });

  it("never says that it lives longer than the connection's token", async () => {
    const issued = { access_token: "narrow", issued_token_type: tokenTypes.accessToken };
    answer = () => json({ ...issued, token_type: "Bearer", expires_in: 86_400 });
    const id = await connected();
    const own = (await world.clients.tokens.getToken({ connectionId: id })).token;
    expect((await get(id))?.expiresAt).toEqual(own?.expiresAt);
  });

  it("gives callers tokens of their own, and puts on record who asked for what", async () => {
    const id = await connected();
    const restriction = { connectionIds: [id] };
    const asAdmin = { name: "sub-agent", role: "ROLE_AGENT", restriction };
    const { key } = await call("AccessService/CreateApiKey", asAdmin, world.place.apiKey);
    const asked = { connectionId: id, audience, scopes: ["read"] };
    const { token } = await call("TokenService/GetToken", asked, key);
    expect(token.credentials).toEqual({ access_token: "narrow-1-secret" });
    expect((await get(id, asked))?.credentials).toEqual({ access_token: "narrow-2-secret" });
    const events = await auditEvents(world.clients, { eventType: "token_retrieved" });
    const expected = { connectionId: id, revision: 1n, reason: `audience=${audience} scope=read` };
    expect(events).toMatchObject([
      { principal: "key:sub-agent", ...expected },
      { principal: "owner", ...expected },
    ]);
    expect(JSON.stringify(events, (_, value) => String(value))).not.toContain("secret");
  });

  it("tells the provider who acts for whom, apart for each caller of a spoke, and puts it on record", async () => {
    const id = await connected({ actor_token: "signed" });
    const { keys } = (await (
      await fetch(`${world.place.environment["NEXUS_PUBLIC_URL"]}/.well-known/jwks.json`)
    ).json()) as JSONWebKeySet;
    const asked = { connectionId: id, scopes: ["read"] };
    const askFor = (name: string, restrictions: Restriction[] = []) => {
      const headers = { "x-nexus-caller": onBehalfField({ name, restrictions }) };
      return world.clients.tokens.getToken(asked, { headers });
    };
    const actors = () => exchanges.map(({ form }) => decodeJwt(form.get("actor_token") ?? ""));
    const tokens = [await askFor("key:planner"), await askFor("key:writer"), await askFor("key:planner")];
    expect(tokens.map(({ token }) => token?.credentials["access_token"])).toEqual(
      [1, 2, 1].map((at) => `narrow-${at}-secret`),
    );
    expect(actors()).toMatchObject([
      { iss: "the-client", sub: "owner", act: { sub: "key:planner" } },
      { iss: "the-client", sub: "owner", act: { sub: "key:writer" } },
    ]);
    await get(id, asked);
    expect(actors()[2]).not.toHaveProperty("act");
    const events = await auditEvents(world.clients, { eventType: "token_retrieved" });
    expect(events.map(({ principal, agent }) => `${principal} for ${agent}`)).toEqual([
      "owner for key:planner",
      "owner for key:writer",
      "owner for ",
    ]);
    const jwt = exchanges[0]?.form.get("actor_token") ?? "";
    await jwtVerify(jwt, createLocalJWKSet({ keys }), { currentDate: new Date(world.clock.nowMs()) });
    // What its spoke lets it see is less than what the spoke itself may.
    const elsewhere = { connectionIds: [randomUUID()] };
    expect(await failureOf(askFor("key:confined", [elsewhere]))).toMatchObject({ code: "NotFound" });
    expect(exchanges).toHaveLength(3);
  });

  it("gives away no token that can do more than the connection", async () => {
    const id = await connected({ token_exchange_scopes: ["graph"] });
    const wide = { access_token: "x", issued_token_type: tokenTypes.accessToken, token_type: "Bearer" };
    answer = () => json({ ...wide, scope: "read admin" });
    expect(await refused(id, { scopes: ["read"] })).toMatchObject({
      code: "FailedPrecondition",
      reason: "TOKEN_EXCHANGE_REFUSED",
    });
    answer = () => json({ ...wide, scope: "read graph" });
    expect(await get(id, { scopes: ["read"] })).toMatchObject({ grantedScopes: ["read", "graph"] });
  });

  it("refuses what is wider than the connection, unless the profile says that it may be asked for", async () => {
    const id = await connected({ token_exchange_scopes: ["https://graph.example/.default"] });
    expect(await refused(id, { scopes: ["read", "admin"] })).toMatchObject({
      code: "InvalidArgument",
      fields: ["scopes[1]"],
    });
    expect(exchanges).toHaveLength(0);
    await get(id, { scopes: ["https://graph.example/.default"] });
    expect(exchanges).toHaveLength(1);
  });

  it("says which field switches it on where it is off", async () => {
    const id = await connected({ token_exchange: "off" });
    const failure = await refused(id);
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "TOKEN_EXCHANGE_OFF" });
    expect(failure.message).toContain("oauth2_options.token_exchange");
    expect(exchanges).toHaveLength(0);
  });

  it.each([
    ["invalid_target", 400, { code: "InvalidArgument", fields: ["audience"] }],
    ["invalid_client", 401, { code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" }],
    ["invalid_grant", 400, { code: "FailedPrecondition", reason: "TOKEN_EXCHANGE_REFUSED" }],
    ["invalid_request", 400, { code: "FailedPrecondition", reason: "TOKEN_EXCHANGE_REFUSED" }],
    ["", 403, { code: "FailedPrecondition", reason: "TOKEN_EXCHANGE_REFUSED" }],
    ["temporarily_unavailable", 503, { code: "Unavailable", retryMs: 7_000 }],
  ])("hands on a refusal as it is meant: %s with %i", async (error, status, expected) => {
    const id = await connected();
    answer = () => json({ error }, status, status === 503 ? { "retry-after": "7" } : {});
    expect(await refused(id)).toMatchObject(expected);
    expect(await world.status(id)).toBe("active");
    const own = (await world.clients.tokens.getToken({ connectionId: id })).token;
    expect(own?.credentials).toEqual({ access_token: "access-1-secret" });
  });

  it("makes nothing of a token that is bound to a key", async () => {
    const bound = { access_token: "bound-secret", refresh_token: "r-secret", token_type: "DPoP" };
    world.answerToken = () => json({ ...bound, expires_in: 3600 });
    const id = await connected({ dpop: "always" });
    expect(await refused(id)).toMatchObject({ code: "FailedPrecondition", reason: "TOKEN_EXCHANGE_OFF" });
  });

  it("refuses a token of another kind", async () => {
    const id = await connected();
    answer = () => json({ access_token: "x", token_type: "N_A", issued_token_type: tokenTypes.idToken });
    expect(await refused(id)).toMatchObject({
      code: "FailedPrecondition",
      reason: "TOKEN_EXCHANGE_REFUSED",
    });
  });

  it("gives no token of a connection that was revoked while the provider made it", async () => {
    const id = await connected();
    let release: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => {
      answer = () => (response, request) => {
        release = () => {
          const issued = { access_token: "late", issued_token_type: tokenTypes.accessToken };
          json({ ...issued, token_type: "Bearer" })(response, request);
        };
        resolve();
      };
    });
    const late = refused(id);
    await arrived;
    await world.clients.connections.revokeConnection({ connectionId: id });
    release();
    expect(await late).toMatchObject({ code: "FailedPrecondition", reason: "CONNECTION_REVOKED" });
  });

  it("asks Entra on behalf of the person, by scopes alone", async () => {
    const scope = "https://graph.microsoft.com/.default";
    const options = { token_exchange: "on_behalf_of", token_exchange_scopes: [scope] };
    const id = await connected(options);
    const tokens = world.answerToken;
    const asked: ScriptedRequest[] = [];
    world.answerToken = (request) => {
      if (request.form.get("requested_token_use") !== "on_behalf_of") return tokens(request);
      asked.push(request);
      return json({ access_token: "graph-secret", token_type: "Bearer", expires_in: 600 });
    };
    expect(await get(id, { scopes: [scope] })).toMatchObject({
      credentials: { access_token: "graph-secret" },
    });
    expect(Object.fromEntries(asked[0]?.form ?? [])).toMatchObject({ assertion: "access-1-secret", scope });
    expect(await refused(id)).toMatchObject({ code: "InvalidArgument", fields: ["audience"] });
  });
});
