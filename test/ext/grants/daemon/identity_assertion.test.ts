import { beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../../../../src/model/json.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { failureOf } from "../../../daemon/errors.js";
import { consented, requestOf } from "../../../daemon/requests.js";
import { ScriptedWorld } from "../../../daemon/scripted_world.js";
import { perTest } from "../../../lifetimes.js";
import { json, type Script, type ScriptedRequest } from "../../../oauth/scripted_server.js";
import { newSigningKey } from "../../../oauth/signing_key.js";

const key = newSigningKey("k1");
const idJag = "urn:ietf:params:oauth:token-type:id-jag";
const chat = "https://chat.example";

/** The scripted server is the identity provider `company`, and under /chat/token the authorization server of `chat`. */
describe("tokens by an identity assertion", () => {
  const world = perTest(() => ScriptedWorld.make());
  /** Requests at the identity provider for assertions, and at the resource's server for tokens. */
  let exchanges: ScriptedRequest[];
  let presented: ScriptedRequest[];
  let answerExchange: () => Script;
  let answerToken: () => Script;
  /** Seconds that an id_token lives. */
  let idTokenSeconds: number;

  const idToken = (more: JsonObject = {}): string => {
    const iat = Math.floor(world.clock.nowMs() / 1000);
    const base = { iss: world.provider.origin, aud: "the-client", sub: "ada@company", iat };
    return key.sign({ ...base, exp: iat + idTokenSeconds, ...more });
  };

  beforeEach(async () => {
    exchanges = [];
    presented = [];
    idTokenSeconds = 3600;
    answerExchange = () =>
      json({
        access_token: `assertion-${exchanges.length}-secret`,
        issued_token_type: idJag,
        token_type: "N_A",
        expires_in: 300,
      });
    answerToken = () =>
      json({ access_token: `chat-${presented.length}-secret`, token_type: "Bearer", expires_in: 600 });
    let count = 0;
    world.documents.set("/jwks", () => ({ keys: [key.jwk] }));
    world.answerToken = (request) => {
      if (request.form.get("requested_token_type") === idJag) {
        exchanges.push(request);
        return answerExchange();
      }
      count++;
      const nonce = world.authorizations.at(-1)?.get("nonce") ?? null;
      const tokens = { access_token: `company-${count}-secret`, refresh_token: `refresh-${count}-secret` };
      return json({ ...tokens, token_type: "Bearer", expires_in: 36_000, id_token: idToken({ nonce }) });
    };
    world.api.set("/chat/token", (response, request) => {
      presented.push(request);
      answerToken()(response, request);
    });
    const { origin } = world.provider;
    const company = { name: "company", issuer: origin, jwks_url: `${origin}/jwks`, scopes: ["openid"] };
    await world.register(company);
    await resource("chat");
  });

  const resource = async (name: string): Promise<string> =>
    await world.register({
      ...{ name, auth_url: "", token_url: `${world.provider.origin}/chat/token`, issuer: chat },
      ...{ client_id: "chat-client", client_secret: "chat-client-secret", scopes: ["chat.read"] },
      ...{ grant_type: "identity_assertion", identity_provider: "company" },
      oauth2_options: { resource: "https://api.chat.example" },
    });
  const signIn = () => consented(world.clients, requestOf("company"));
  const acquire = async (providerName = "chat") =>
    (await world.clients.tokens.acquireToken({ providerName, userId: "ada" })).result;
  const tokenOf = (result: Awaited<ReturnType<typeof acquire>>): string =>
    result.case === "token" ? (result.value.credentials["access_token"] ?? "") : `${result.case}`;

  it("exchanges the id_token of the one sign-in for an assertion, and that for a token", async () => {
    await signIn();
    const result = await acquire();
    expect(result).toMatchObject({
      case: "token",
      value: { credentials: { access_token: "chat-1-secret" }, grantedScopes: ["chat.read"] },
    });
    expect(Object.fromEntries(exchanges[0]?.form ?? [])).toMatchObject({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      requested_token_type: idJag,
      subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
      audience: chat,
      resource: "https://api.chat.example",
      scope: "chat.read",
      client_id: "the-client",
      client_secret: "the-client-secret",
    });
    expect(Object.fromEntries(presented[0]?.form ?? [])).toEqual({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: "assertion-1-secret",
      client_id: "chat-client",
      client_secret: "chat-client-secret",
    });
  });

  it("serves other resources from the same sign-in, each with an assertion of its own", async () => {
    await signIn();
    for (const name of ["wiki", "mail", "files"]) {
      await resource(name);
      expect(tokenOf(await acquire(name))).toMatch(/^chat-\d-secret$/);
    }
    expect(world.authorizations).toHaveLength(1);
    expect(exchanges).toHaveLength(3);
  });

  it("answers the link to the identity provider while nobody is signed in there", async () => {
    const first = await acquire();
    expect(first.case).toBe("consent");
    const second = await acquire();
    expect(second).toEqual(first);
    if (first.case !== "consent") throw new Error("no link");
    await world.consent(first.value.authUrl);
    expect(tokenOf(await acquire())).toBe("chat-1-secret");
  });

  it("presents the same assertion until it ends", async () => {
    await signIn();
    const { connection } = await world.clients.connections.requestConnection(requestOf("chat"));
    const refresh = () => world.clients.tokens.refreshToken({ connectionId: connection?.id ?? "" });
    await refresh();
    expect([exchanges.length, presented.length]).toEqual([1, 2]);
    world.clock.advance(295_000);
    await refresh();
    expect(exchanges).toHaveLength(2);
    expect(presented[2]?.form.get("assertion")).toBe("assertion-2-secret");
  });

  it("asks for another one when one is refused, once, and then says so", async () => {
    await signIn();
    const { connection } = await world.clients.connections.requestConnection(requestOf("chat"));
    const connectionId = connection?.id ?? "";
    const good = answerToken;
    answerToken = () => (presented.length === 2 ? json({ error: "invalid_grant" }, 400) : good());
    expect((await world.clients.tokens.refreshToken({ connectionId })).token?.revision).toBe(2n);
    expect(presented.map(({ form }) => form.get("assertion"))).toEqual([
      "assertion-1-secret",
      "assertion-1-secret",
      "assertion-2-secret",
    ]);
    answerToken = () => json({ error: "invalid_grant" }, 400);
    const failure = await failureOf(world.clients.tokens.refreshToken({ connectionId }));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect([exchanges.length, presented.length]).toEqual([3, 5]);
  });

  it("refreshes the sign-in first when its id_token has ended", async () => {
    idTokenSeconds = 400;
    const company = await signIn();
    const { connection } = await world.clients.connections.requestConnection(requestOf("chat"));
    world.clock.advance(470_000);
    const connectionId = connection?.id ?? "";
    expect((await world.clients.tokens.refreshToken({ connectionId })).token).toBeDefined();
    const { connection: after } = await world.clients.connections.getConnection({ connectionId: company });
    expect(after?.revision).toBe(2n);
    expect(exchanges[0]?.form.get("subject_token")).not.toBe(exchanges.at(-1)?.form.get("subject_token"));
  });

  it("asks for the person when the identity provider takes the id_token no more, and comes back after the sign-in", async () => {
    const company = await signIn();
    const { connection } = await world.clients.connections.requestConnection(requestOf("chat"));
    const connectionId = connection?.id ?? "";
    world.clock.advance(310_000);
    const good = answerExchange;
    answerExchange = () => json({ error: "invalid_grant" }, 400);
    await failureOf(world.clients.tokens.refreshToken({ connectionId }));
    const failure = await failureOf(world.clients.tokens.getToken({ connectionId }));
    expect(failure).toMatchObject({
      code: "FailedPrecondition",
      reason: "ATTENTION_REQUIRED",
      problem: "identity_required",
    });
    expect(failure.message).toContain("company");
    expect(presented).toHaveLength(1);
    answerExchange = good;
    const { authUrl } = await world.clients.connections.requestConnection({ connectionId: company });
    await world.consent(authUrl);
    expect(tokenOf(await acquire())).toBe("chat-2-secret");
    const events = await auditEvents(world.clients, { connectionId });
    expect(events).toContainEqual(
      expect.objectContaining({ eventType: "token_refresh_fatal", reason: "identity_required" }),
    );
  });

  it.each([
    ["refuses the client", { error: "invalid_client" }, 401],
    ["refuses the target", { error: "invalid_target" }, 400],
    ["answers a token of another kind", { access_token: "x", token_type: "Bearer" }, 200],
    ["answers an access token", { access_token: "x", token_type: "N_A", issued_token_type: "x" }, 200],
  ])("names the identity provider when it %s", async (_, body, status) => {
    await signIn();
    answerExchange = () => json(body, status);
    await failureOf(acquire());
    const { connections } = await world.clients.connections.listConnections({});
    const problem = connections.find(({ providerName }) => providerName === "chat")?.problem;
    expect(["misconfigured", "refresh_failing"]).toContain(problem?.reason);
    if (problem?.reason === "misconfigured") expect(problem.message).toContain("identity provider company");
    expect(presented).toHaveLength(0);
  });

  it("takes the id_token of an application where the person signed in", async () => {
    const { providers } = await world.clients.providers.listProviders({});
    const providerId = providers.find(({ name }) => name === "company")?.id ?? "";
    const importIt = (token: string) =>
      world.clients.connections.importConnection({ userId: "ada", providerId, idToken: token });
    for (const [change, says] of [
      [{ iss: "https://other.example" }, "another issuer"],
      [{ aud: "another" }, "another client"],
      [{ exp: 1 }, "ended"],
      [{ sub: "" }, "nobody"],
    ] as const) {
      const failure = await failureOf(importIt(idToken(change)));
      expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["id_token"] });
      expect(failure.message).toContain(says);
    }
    const first = await importIt(idToken());
    expect(tokenOf(await acquire())).toBe("chat-1-secret");
    const id = first.connection?.id ?? "";
    const failure = await failureOf(world.clients.tokens.getToken({ connectionId: id }));
    expect(failure).toMatchObject({ code: "FailedPrecondition" });
    const again = await importIt(idToken());
    expect(again.connection).toMatchObject({ id, revision: 2n });
  });
});
