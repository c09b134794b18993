import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { storeFileName } from "../../src/store/store.js";
import { auditEvents, untilEvent } from "../daemon/audit_events.js";
import { failureOf } from "../daemon/errors.js";
import { Place, World } from "../daemon/harness.js";
import { registered, requestOf } from "../daemon/requests.js";
import { Browser, consent } from "../fakes/browser.js";
import { perTest } from "../lifetimes.js";

const returnUrl = "http://127.0.0.1:3999/back";

describe("the browser that calls us: confirmation", () => {
  const world = perTest(() => World.make());
  let providerId: string;
  beforeEach(async () => {
    providerId = await world.register();
  });

  const toCaller = (url: string): boolean => url.startsWith(returnUrl);
  const request = (more: { connectionId?: string; requireConfirmation?: boolean } = {}) =>
    world.clients.connections.requestConnection(
      requestOf(providerId, { returnUrl, requireConfirmation: true, ...more }),
    );
  /** A consent up to the return URL, as the application gets it. */
  const consented = async (more: { connectionId?: string } = {}) => {
    const { authUrl, connectionId } = await request(more);
    const { url } = await consent(new Browser(), authUrl, "allow", toCaller);
    const query = new URL(url).searchParams;
    expect(query.get("status")).toBe("success");
    expect(query.get("connection_id")).toBe(connectionId);
    return { connectionId, completionCode: query.get("completion_code") ?? "" };
  };
  const read = async (connectionId: string) =>
    (await world.clients.connections.getConnection({ connectionId })).connection;
  const confirm = (connectionId: string, completionCode: string) =>
    world.clients.connections.confirmConnection({ connectionId, completionCode });
  const token = (connectionId: string) => world.clients.tokens.getToken({ connectionId });
  /** Refresh tokens that the provider was asked to revoke. */
  const untilRevoked = () => untilEvent(world.clients, "revoked_at_provider");

  test("a token that waits for its confirmation is not readable, by no way", async () => {
    const { connectionId } = await consented();
    expect(await read(connectionId)).toMatchObject({
      status: ConnectionStatus.PENDING,
      awaitingConfirmation: true,
      revision: 0n,
      refreshable: false,
    });
    const refused = { code: "FailedPrecondition", reason: "CONNECTION_PENDING" };
    expect(await failureOf(token(connectionId))).toMatchObject(refused);
    expect(await failureOf(world.clients.tokens.refreshToken({ connectionId }))).toMatchObject(refused);
    const watcher = world.watch({ connectionIds: [connectionId] });
    const state = await watcher.state(() => true);
    expect(state).toMatchObject({ status: ConnectionStatus.PENDING });
    expect(state.token).toBeUndefined();
    watcher.cancel();
    const rest = await world.rest();
    expect((await rest.get(`/v1/token/${connectionId}`)).status).toBe(409);
    expect((await rest.get(`/v1/check-connection/${connectionId}`)).body.status).toBe("pending");
  });

  test("the completion code makes it readable, once", async () => {
    const { connectionId, completionCode } = await consented();
    expect(Buffer.from(completionCode, "base64url")).toHaveLength(32);
    const watcher = world.watch({ connectionIds: [connectionId] });
    const { connection } = await confirm(connectionId, completionCode);
    expect(connection).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      awaitingConfirmation: false,
      revision: 1n,
    });
    expect((await watcher.state((state) => state.token !== undefined)).token?.revision).toBe(1n);
    watcher.cancel();
    const { token: readable } = await token(connectionId);
    const headers = { authorization: `Bearer ${readable?.credentials["access_token"]}` };
    expect((await fetch(world.provider.userinfoEndpoint, { headers })).status).toBe(200);
    expect(await failureOf(confirm(connectionId, completionCode))).toMatchObject({
      code: "FailedPrecondition",
      reason: "NOT_AWAITING_CONFIRMATION",
    });
    await untilEvent(world.clients, "connection.confirmed");
  });

  test("over REST it is the same", async () => {
    const rest = await world.rest();
    const asked = await rest.post("/v1/request-connection", {
      user_id: "ada",
      provider_id: providerId,
      return_url: returnUrl,
      require_confirmation: true,
    });
    const { url } = await consent(new Browser(), asked.body.authUrl, "allow", toCaller);
    const body = {
      connection_id: asked.body.connection_id,
      completion_code: new URL(url).searchParams.get("completion_code"),
    };
    expect((await rest.post("/v1/confirm-connection", { ...body, completion_code: "x" })).status).toBe(400);
    // The owner is another principal than the API key that made the request.
    expect(await failureOf(confirm(body.connection_id, body.completion_code ?? ""))).toMatchObject({
      reason: "NOT_AWAITING_CONFIRMATION",
    });
    const confirmed = await rest.post("/v1/confirm-connection", body);
    expect(confirmed).toMatchObject({ status: 200, body: { status: "active" } });
    expect((await rest.post("/v1/confirm-connection", body)).status).toBe(409);
  });

  test("whoever did not make the request cannot confirm it, nor use up its tries", async () => {
    const { connectionId, completionCode } = await consented();
    const rest = await world.rest();
    for (let count = 0; count < 7; count++) {
      const answer = await rest.post("/v1/confirm-connection", {
        connection_id: connectionId,
        completion_code: count === 0 ? completionCode : "wrong",
      });
      expect(answer).toMatchObject({ status: 409, body: { error: "not_awaiting_confirmation" } });
    }
    expect((await confirm(connectionId, completionCode)).connection?.status).toBe(ConnectionStatus.ACTIVE);
  });

  test("five wrong codes end the consent, and the grant is revoked at the provider", async () => {
    const { connectionId, completionCode } = await consented();
    for (let left = 4; left >= 0; left--) {
      const failure = await failureOf(confirm(connectionId, "wrong"));
      expect(failure).toMatchObject({ code: "InvalidArgument" });
      expect(failure.message).toContain(left > 0 ? `${left} of 5 tries are left` : "the consent is over");
    }
    expect(await failureOf(confirm(connectionId, completionCode))).toMatchObject({
      reason: "NOT_AWAITING_CONFIRMATION",
    });
    expect(await read(connectionId)).toMatchObject({
      status: ConnectionStatus.FAILED,
      awaitingConfirmation: false,
      problem: { reason: "confirmation_failed" },
    });
    await untilRevoked();
    expect(await failureOf(token(connectionId))).toMatchObject({ reason: "CONNECTION_FAILED" });
  });

  test("a consent that is not confirmed within ten minutes is revoked at the provider and erased", async () => {
    const { connectionId, completionCode } = await consented();
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.state(() => true);
    world.clock.advance(10 * 60_000);
    const ended = await watcher.state(({ status }) => status === ConnectionStatus.EXPIRED);
    watcher.cancel();
    expect(ended.problem?.reason).toBe("confirmation_expired");
    await untilRevoked();
    expect(await failureOf(confirm(connectionId, completionCode))).toMatchObject({
      reason: "NOT_AWAITING_CONFIRMATION",
    });
    expect((await read(connectionId))?.revision).toBe(0n);
  });

  test("an active connection serves its own token until a new consent is confirmed", async () => {
    const first = await consented();
    await confirm(first.connectionId, first.completionCode);
    const before = (await token(first.connectionId)).token;
    const again = await consented({ connectionId: first.connectionId });
    expect(await read(first.connectionId)).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      awaitingConfirmation: true,
      revision: 1n,
    });
    expect((await token(first.connectionId)).token?.credentials).toEqual(before?.credentials);
    await confirm(first.connectionId, again.completionCode);
    const after = (await token(first.connectionId)).token;
    expect(after?.revision).toBe(2n);
    expect(after?.credentials).not.toEqual(before?.credentials);
  });

  test("a new consent that nobody confirms leaves an active connection as it was", async () => {
    const first = await consented();
    await confirm(first.connectionId, first.completionCode);
    const { token: before } = await token(first.connectionId);
    await consented({ connectionId: first.connectionId });
    const watcher = world.watch({ connectionIds: [first.connectionId] });
    await watcher.state(() => true);
    world.clock.advance(10 * 60_000);
    await untilEvent(world.clients, "oauth_error");
    watcher.cancel();
    expect(await read(first.connectionId)).toMatchObject({
      status: ConnectionStatus.ACTIVE,
      awaitingConfirmation: false,
    });
    expect((await token(first.connectionId)).token?.credentials).toEqual(before?.credentials);
    // The same account: revoking the new grant could end the old one.
    expect(await auditEvents(world.clients, { eventType: "revoked_at_provider" })).toEqual([]);
  });

  test.each(["revokeConnection", "deleteConnection"] as const)(
    "%s revokes what waits for its confirmation",
    async (method) => {
      const { connectionId, completionCode } = await consented();
      await world.clients.connections[method]({ connectionId });
      await untilRevoked();
      expect((await failureOf(confirm(connectionId, completionCode))).code).toBe(
        method === "deleteConnection" ? "NotFound" : "FailedPrecondition",
      );
    },
  );

  test("a newer request ends what waits, and its grant is revoked", async () => {
    const { connectionId, completionCode } = await consented();
    await request({ connectionId });
    await untilRevoked();
    expect(await failureOf(confirm(connectionId, completionCode))).toMatchObject({
      reason: "NOT_AWAITING_CONFIRMATION",
    });
  });

  test("it survives a restart", async () => {
    const { connectionId, completionCode } = await consented();
    await world.restart();
    expect((await read(connectionId))?.awaitingConfirmation).toBe(true);
    await confirm(connectionId, completionCode);
    expect((await token(connectionId)).token?.revision).toBe(1n);
  });

  test("a changed provider profile ends it", async () => {
    const { connectionId, completionCode } = await consented();
    await world.clients.providers.updateProvider({
      provider: { id: providerId, description: "other" },
      updateMask: { paths: ["description"] },
    });
    expect(await failureOf(confirm(connectionId, completionCode))).toMatchObject({
      reason: "PROVIDER_CHANGED",
    });
    await untilRevoked();
  });

  test("a completion code is no state, a state no completion code, and neither is stored or logged", async () => {
    const { authUrl, state, connectionId } = await request();
    expect((await failureOf(confirm(connectionId, state))).reason).toBe("NOT_AWAITING_CONFIRMATION");
    const browser = new Browser();
    const { url } = await consent(browser, authUrl, "allow", toCaller);
    const completionCode = new URL(url).searchParams.get("completion_code") ?? "";
    expect((await failureOf(confirm(connectionId, state))).code).toBe("InvalidArgument");
    const { publicUrl } = world.place.config;
    for (const path of ["start", "callback", "capture"]) {
      const page = await browser.get(`${publicUrl}/auth/${path}?state=${completionCode}&code=x`);
      expect(page.status).toBe(404);
    }
    const file = readFileSync(join(world.place.config.dataDir, storeFileName));
    expect(file.includes(completionCode)).toBe(false);
    expect(world.place.logLines.join("")).not.toContain(completionCode);
    await confirm(connectionId, completionCode);
  });

  test("without a return URL it is refused", async () => {
    const failure = await failureOf(
      world.clients.connections.requestConnection(requestOf(providerId, { requireConfirmation: true })),
    );
    expect(failure.code).toBe("InvalidArgument");
    expect(failure.message).toContain("return_url");
  });

  test("a key that a person enters waits too", async () => {
    const providerId = await registered(world.clients, { name: "keyed", authType: AuthType.API_KEY });
    const { authUrl, connectionId } = await world.clients.connections.requestConnection(
      requestOf(providerId, { returnUrl, requireConfirmation: true }),
    );
    const browser = new Browser();
    const form = await browser.get(authUrl);
    const { url } = await browser.submit(form, { api_key: "k-1" }, toCaller);
    expect((await failureOf(token(connectionId))).reason).toBe("CONNECTION_PENDING");
    await confirm(connectionId, new URL(url).searchParams.get("completion_code") ?? "");
    expect((await token(connectionId)).token?.credentials).toEqual({ api_key: "k-1" });
  });
});

test("a daemon can demand the confirmation of every consent", async () => {
  const world = await World.make({}, await Place.make({ NEXUS_REQUIRE_CONFIRMATION: "true" }));
  try {
    const provider = { case: "providerId", value: await world.register() } as const;
    const bare = await failureOf(world.clients.connections.requestConnection({ userId: "ada", provider }));
    expect(bare.message).toContain("NEXUS_REQUIRE_CONFIRMATION");
    const { authUrl, connectionId } = await world.clients.connections.requestConnection({
      userId: "ada",
      provider,
      returnUrl,
    });
    const { url } = await consent(new Browser(), authUrl, "allow", (each) => each.startsWith(returnUrl));
    const completionCode = new URL(url).searchParams.get("completion_code") ?? "";
    expect(completionCode).toMatch(/^[\w-]{43}$/);
    await world.clients.connections.confirmConnection({ connectionId, completionCode });
    const wwwAuthenticate = 'Bearer error="insufficient_scope", scope="read"';
    const report = { connectionId, revision: 1n, status: 403, wwwAuthenticate };
    // A report names no return URL.
    const { consent: link, missingScopes: scopes } = await world.clients.tokens.reportRejectedToken(report);
    expect([link, scopes]).toEqual([undefined, ["read"]]);
    const asked = { providerName: "op", userId: "ada", scopes, returnUrl };
    expect((await world.clients.tokens.acquireToken(asked)).result.case).toBe("consent");
  } finally {
    await world.close();
  }
});
