import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { AuthType, GrantType } from "../../src/gen/nexus/v1/provider_pb.js";
import {
  type ConsentRequired,
  RejectionOutcome as Outcome,
  type Token,
  TokenService,
} from "../../src/gen/nexus/v1/token_pb.js";
import { answerConsent, Browser, consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { failureOf } from "./errors.js";
import { World } from "./harness.js";
import { registered } from "./requests.js";
import { ScriptedWorld } from "./scripted_world.js";

const invalid = { status: 401, wwwAuthenticate: 'Bearer error="invalid_token"' };
const insufficient = (scope = "read") => ({
  status: 403,
  wwwAuthenticate: `Bearer error="insufficient_scope", scope="${scope}", error_description="hush-hush"`,
});

describe("ReportRejectedToken", () => {
  const world = perTest(() => World.make());
  let connectionId: string;
  beforeEach(async () => {
    connectionId = await world.connect(await world.register());
  });

  const report = (revision: bigint, more: object = invalid) =>
    world.clients.tokens.reportRejectedToken({ connectionId, revision, ...more });
  const ask = async (more: object = {}) =>
    (await world.clients.tokens.acquireToken({ providerName: "op", userId: "ada", ...more })).result;
  const token = async (more: object = {}): Promise<Token> => {
    const result = await ask(more);
    if (result.case !== "token") throw new Error(`the answer is a ${result.case}`);
    return result.value;
  };
  const link = async (more: object = {}): Promise<ConsentRequired> => {
    const result = await ask(more);
    if (result.case !== "consent") throw new Error(`the answer is a ${result.case}`);
    return result.value;
  };
  const rejections = async () =>
    (await world.clients.audit.listAuditEvents({ eventType: "token_rejected" })).events;
  const refreshes = () =>
    world.provider.tokenRequests.filter(({ grantType }) => grantType === "refresh_token");

  it("refreshes once for fifty reports, by id and by name, over gRPC, gRPC-Web, Connect and JSON", async () => {
    const baseUrl = world.place.httpUrl;
    const headers = { "x-api-key": world.place.apiKey };
    const options = { baseUrl, httpVersion: "1.1" as const };
    const clients = [createConnectTransport(options), createGrpcWebTransport(options)].map((transport) =>
      createClient(TokenService, transport),
    );
    const name = { providerName: "op", userId: "ada" };
    const release = world.provider.holdTokenResponses();
    const reports = Array.from({ length: 40 }, (_, index) => {
      if (index % 2 === 0) return report(1n);
      const [client] = [clients[index % 4 === 1 ? 0 : 1]];
      return client?.reportRejectedToken({ name, revision: 1n, ...invalid }, { headers });
    });
    const json = Array.from({ length: 10 }, async () => {
      const response = await fetch(`${baseUrl}/nexus.v1.TokenService/ReportRejectedToken`, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ connection_id: connectionId, revision: "1", status: 401 }),
      });
      return await response.json();
    });
    await world.provider.waitForTokenRequests(2);
    release();
    for (const answer of await Promise.all(reports)) {
      expect(answer).toMatchObject({
        outcome: expect.toBeOneOf([Outcome.REFRESHED, Outcome.SUPERSEDED]),
        revision: 2n,
      });
    }
    for (const answer of await Promise.all(json)) {
      expect(answer).toEqual({
        outcome: expect.stringMatching(/^REJECTION_OUTCOME_(REFRESHED|SUPERSEDED)$/),
        revision: "2",
      });
    }
    expect(refreshes()).toHaveLength(1);
    expect(await report(1n)).toMatchObject({ outcome: Outcome.SUPERSEDED, revision: 2n });
    expect(await rejections()).toHaveLength(1);
    expect((await token()).revision).toBe(2n);
  });

  it("answers missing scopes with a link that shows them first, and nobody else notices", async () => {
    const rejection = await report(1n, insufficient("read <img>"));
    expect(rejection).toMatchObject({ outcome: Outcome.SCOPES_MISSING, revision: 1n });
    expect(rejection.missingScopes).toEqual(["read", "<img>"]);
    expect(rejection.consent).toMatchObject({ connectionId, reason: "scopes_missing" });
    expect((await report(1n, insufficient())).consent).toEqual(rejection.consent);
    await world.restart();
    for (const scopes of [[], ["openid"], ["openid", "email"]])
      expect((await token({ scopes })).revision).toBe(1n);
    expect(await link({ scopes: ["read"] })).toEqual(rejection.consent);
    const authUrl = rejection.consent?.authUrl ?? "";
    const page = await world.browser.get(authUrl);
    expect(page).toMatchObject({ status: 200, url: authUrl });
    expect(page.body).toContain("<li><code>read</code></li><li><code>&lt;img&gt;</code></li>");
    expect(page.body).toContain("<li>Know who you are <code>openid</code></li>");
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.requestedScopes).toEqual(["openid", "email", "read", "<img>"]);
    expect((await consent(world.browser, authUrl, "deny")).body).toContain("You or the provider declined");
    expect((await token()).revision).toBe(1n);
    const events = await rejections();
    expect(events.map(({ reason, revision }) => [reason, revision])).toEqual([
      ["403 insufficient_scope", 1n],
    ]);
    expect(JSON.stringify(world.place.logLines)).not.toContain("hush-hush");
    expect(refreshes()).toEqual([]);
  });

  it("takes a no on that page: the link is over, and the application is told that it was refused", async () => {
    const authUrl = (await report(1n, insufficient())).consent?.authUrl ?? "";
    const page = await world.browser.get(authUrl);
    const foreign = await new Browser().submit(page, { "nexus-csrf": "guessed" });
    expect(foreign.body).toContain("This form belongs to another browser window");
    const guessed = await world.browser.submit(page, { "nexus-csrf": "guessed" });
    expect(guessed.body).toContain("This form belongs to another browser window");
    expect(await world.browser.get(authUrl)).toMatchObject({ status: 200 });
    const waits = ask({ scopes: ["read"], wait: { seconds: 60n } });
    const declined = await world.browser.submit(page, {});
    expect(declined.body).toContain("Your account at op stays connected");
    expect((await waits).value).toMatchObject({ reason: "access_denied" });
    expect((await world.browser.submit(page, {})).status).toBe(404);
    expect((await world.browser.get(authUrl)).status).toBe(404);
    expect((await token()).revision).toBe(1n);
    expect((await report(1n, insufficient())).consent).toMatchObject({ reason: "access_denied" });
    const { events } = await world.clients.audit.listAuditEvents({ eventType: "oauth_error" });
    expect(events.map(({ reason, principal }) => [reason, principal])).toEqual([
      ["access_denied", "browser"],
    ]);
  });

  it("brings the token with the scopes to those who wait, without a page for what no API asked for", async () => {
    const authUrl = (await report(1n, insufficient())).consent?.authUrl ?? "";
    expect(await world.browser.get(authUrl)).toMatchObject({ status: 200 });
    const waits = ask({ scopes: ["read"], wait: { seconds: 60n } });
    expect((await consent(world.browser, authUrl)).status).toBe(200);
    expect(await waits).toMatchObject({ case: "token", value: { revision: 2n } });
    expect((await token()).grantedScopes).toContain("read");
    const other = await link({ scopes: ["write"] });
    expect((await world.browser.get(other.authUrl)).body).not.toContain("to-provider");
  });

  it("gives up after three step-ups that did not help, over restarts, and says so", async () => {
    for (const revision of [1n, 2n, 3n]) {
      const rejection = await report(revision, insufficient());
      expect(rejection).toMatchObject({ outcome: Outcome.SCOPES_MISSING });
      await world.restart();
      expect((await consent(world.browser, rejection.consent?.authUrl ?? "")).status).toBe(200);
    }
    const failure = await failureOf(report(4n, insufficient()));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "SCOPES_NOT_GRANTED" });
    expect(failure.message).toContain("asked three times within a day");
    expect((await token()).revision).toBe(4n);
    expect(await report(4n, insufficient("write"))).toMatchObject({ outcome: Outcome.SCOPES_MISSING });
    expect(await link({ scopes: ["write"] })).toMatchObject({ reason: "scopes_missing" });
  });

  it("refuses what it cannot act on, naming the field", async () => {
    const id = { connectionId };
    const rows: readonly (readonly [object, string[]])[] = [
      [{ ...id, revision: 1n, status: 200 }, ["status"]],
      [{ ...id, revision: 1n, status: 0 }, ["status"]],
      [{ ...id, revision: 0n, ...invalid }, ["revision"]],
      [{ ...id, revision: 2n, ...invalid }, ["revision"]],
      [{ ...id, revision: 1n, status: 403 }, ["www_authenticate"]],
      [{ ...id, revision: 1n, status: 401, wwwAuthenticate: "x".repeat(8_193) }, ["www_authenticate"]],
      [{ revision: 1n, ...invalid }, ["connection_id"]],
      [{ connectionId: "x", revision: 1n, ...invalid }, ["connection_id"]],
    ];
    for (const [request, fields] of rows) {
      const failure = await failureOf(world.clients.tokens.reportRejectedToken(request));
      expect([failure.code, failure.fields]).toEqual([Code[Code.InvalidArgument], fields]);
    }
    const none = { name: { providerName: "op", userId: "nobody" }, revision: 1n, ...invalid };
    expect((await failureOf(world.clients.tokens.reportRejectedToken(none))).code).toBe("NotFound");
    expect(await rejections()).toEqual([]);
  });

  it("says of static credentials that they cannot be refreshed, and of an ended connection that it is", async () => {
    await world.clients.providers.createProvider({ provider: { name: "keys", authType: AuthType.API_KEY } });
    const keys = { providerName: "keys", userId: "ada" };
    const { result } = await world.clients.tokens.acquireToken(keys);
    const form = await world.browser.get((result.value as ConsentRequired).authUrl);
    await world.browser.submit(form, { api_key: "sk-1" });
    for (const refused of [invalid, insufficient()]) {
      const name = { ...keys, label: "" };
      const failure = await failureOf(
        world.clients.tokens.reportRejectedToken({ name, revision: 1n, ...refused }),
      );
      expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "NOT_REFRESHABLE" });
    }
    expect((await world.clients.tokens.acquireToken(keys)).result.case).toBe("token");
    await world.clients.connections.revokeConnection({ connectionId });
    expect(await failureOf(report(1n))).toMatchObject({ reason: "CONNECTION_REVOKED" });
  });

  it("limits what is done for one connection, and says when it can be asked again", async () => {
    for (let revision = 1n; revision <= 12n; revision++) await report(revision);
    const failure = await failureOf(report(13n));
    expect(failure).toMatchObject({ code: "ResourceExhausted", reason: "RATE_LIMITED", retryMs: 3_600_000 });
    expect(failure.message).toContain("NEXUS_MAX_REJECTIONS_PER_HOUR");
    expect(refreshes()).toHaveLength(12);
    expect(await report(12n)).toMatchObject({ outcome: Outcome.SUPERSEDED });
    world.clock.advance(3_600_000);
    await report((await token()).revision);
  });
});

describe("ReportRejectedToken where tokens come without a person", () => {
  const world = perTest(() => ScriptedWorld.make());

  it("mints with the scopes at once, and refreshes as ever", async () => {
    const minted: string[] = [];
    world.answerToken = ({ form }) => {
      const scope = form.get("scope") ?? "";
      minted.push(scope);
      if (scope.includes("bogus")) return json({ error: "invalid_scope" }, 400);
      return json({ access_token: `minted-${minted.length}`, token_type: "Bearer", expires_in: 3600 });
    };
    await registered(world.clients, {
      name: "machine",
      clientId: "m",
      clientSecret: "s",
      grantType: GrantType.CLIENT_CREDENTIALS,
      tokenUrl: `${world.provider.origin}/token`,
      scopes: ["a"],
    });
    const name = { providerName: "machine", userId: "ada" };
    const ask = async () => (await world.clients.tokens.acquireToken(name)).result;
    const report = (revision: bigint, more: object) =>
      world.clients.tokens.reportRejectedToken({ name, revision, ...more });
    expect(await ask()).toMatchObject({ case: "token", value: { revision: 1n } });
    expect(await report(1n, insufficient("b"))).toMatchObject({ outcome: Outcome.REFRESHED, revision: 2n });
    expect(await ask()).toMatchObject({ case: "token", value: { revision: 2n, grantedScopes: ["a", "b"] } });
    expect(await report(2n, invalid)).toMatchObject({ outcome: Outcome.REFRESHED, revision: 3n });
    expect(await ask()).toMatchObject({ case: "token", value: { revision: 3n } });
    expect(minted).toEqual(["a", "a b", "a b"]);
    expect((await failureOf(report(3n, insufficient("bogus")))).code).toMatch(
      /FailedPrecondition|Unavailable/,
    );
    expect(await ask()).toMatchObject({ case: "token", value: { revision: 3n } });
  });
});

describe("a step-up at a server that takes pushed requests alone", () => {
  const world = perTest(() => World.make({ requirePushedRequests: true }));

  it("is pushed when the person goes on, and not when the page is shown", async () => {
    const connectionId = await world.connect(await world.register());
    const report = { connectionId, revision: 1n, ...insufficient() };
    const { authUrl = "" } = (await world.clients.tokens.reportRejectedToken(report)).consent ?? {};
    const page = await world.browser.get(authUrl);
    expect(page.body).toContain('href="/auth/continue?state=');
    expect(page.body).not.toContain("request_uri");
    // Whoever is given the address of the button is shown the page all the same.
    const state = new URL(authUrl).search;
    const other = await new Browser().get(`${new URL(authUrl).origin}/auth/continue${state}`);
    expect(other.body).toContain("Allow more access?");
    expect((await answerConsent(world.browser, page)).status).toBe(200);
    expect((await world.clients.tokens.getToken({ connectionId })).token?.grantedScopes).toContain("read");
  });
});
