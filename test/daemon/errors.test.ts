/**
 * The twenty errors of today's Nexus server, each asked for as its clients meet it: ours must pass where it fails. Those that
 * need static credentials or the audit log are in `violations_static.test.ts`. `MUTATION` says what was put back to see the test fail.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { NexusService } from "../../src/gen/nexus/v1/nexus_pb.js";
import { restTable } from "../../src/server/rest/table.js";
import { Store } from "../../src/store/store.js";
import { Browser } from "../fakes/browser.js";
import { perSuite } from "../lifetimes.js";
import { json } from "../oauth/scripted_server.js";
import { newSigningKey } from "../oauth/signing_key.js";
import { failureOf } from "./errors.js";
import { Watcher } from "./harness.js";
import { goodTokens, returnUrl, ScriptedWorld } from "./scripted_world.js";

const unknownId = "00000000-0000-4000-8000-000000000000";

const world = perSuite(() => ScriptedWorld.make());
beforeEach(() => {
  world.answerToken = goodTokens();
  world.decision = "allow";
  world.authorizations.length = 0;
  world.tokenRequests.length = 0;
});

/** A token endpoint that is good for the code and answers a refresh as told. */
function refusing(status: number, body: object, headers: Record<string, string> = {}) {
  const good = goodTokens();
  return (request: Parameters<ReturnType<typeof goodTokens>>[0]) =>
    request.form.get("grant_type") === "refresh_token" ? json(body, status, headers) : good(request);
}

/** An OpenID provider in the scripted one, its discovery document and keys included. */
function openId(
  keys: () => ReturnType<typeof newSigningKey>[],
  claims: (nonce: string) => object | undefined,
) {
  const issuer = world.provider.origin;
  world.documents.set("/.well-known/openid-configuration", () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ["code"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["RS256"],
  }));
  world.documents.set("/jwks", () => ({ keys: keys().map(({ jwk }) => jwk) }));
  world.answerToken = () => {
    const nowSeconds = Math.floor(world.clock.nowMs() / 1000);
    const said = claims(world.authorizations.at(-1)?.get("nonce") ?? "");
    const idToken = said && {
      iss: issuer,
      aud: "the-client",
      sub: "ada",
      iat: nowSeconds,
      exp: nowSeconds + 60,
    };
    const signed =
      idToken &&
      keys()
        .at(-1)
        ?.sign({ ...idToken, ...said });
    return json({
      access_token: "a",
      token_type: "Bearer",
      expires_in: 60,
      ...(signed ? { id_token: signed } : {}),
    });
  };
  const { auth_url, token_url } = { auth_url: "", token_url: "" };
  return world.register({ issuer, enable_discovery: true, auth_url, token_url, scopes: ["openid"] });
}

// MUTATION: `IssuerMetadata.resolve` throws for a profile with discovery.
it("1: a profile with issuer and enable_discovery can be consented to", async () => {
  const key = newSigningKey("k1");
  const providerId = await openId(
    () => [key],
    (nonce) => ({ nonce }),
  );
  expect(await world.status(await world.connect(providerId))).toBe("active");
});

// MUTATION: `checkConnection` answers `failed` for whatever is not active.
it("3: a fresh pending connection is pending, over REST and over gRPC", async () => {
  const { connection_id } = await world.request(await world.register());
  expect(await world.status(connection_id)).toBe("pending");
  expect(await nexus().checkConnection({ connectionId: connection_id })).toMatchObject({
    status: "pending",
    state: "pending",
  });
});

// MUTATION: `CredentialWriter.write` is given no credential before.
it("4: a refresh whose answer omits the refresh token keeps the stored one", async () => {
  const connectionId = await world.connect(await world.register());
  for (const round of [1, 2, 3]) {
    world.answerToken = () =>
      json({ access_token: `again-${round}`, token_type: "Bearer", expires_in: 3600 });
    expect((await world.refresh(connectionId)).body.access_token).toBe(`again-${round}`);
    expect(world.tokenRequests.at(-1)?.form.get("refresh_token")).toBe("refresh-1-secret");
  }
});

describe("5: a refresh", () => {
  // MUTATION: `clientAuthentication` always answers client_secret_post.
  it.each(["Basic", "client_secret_basic"])(
    "uses Basic client authentication for auth_header %s",
    async (header) => {
      const connectionId = await world.connect(await world.register({ auth_header: header }));
      await world.refresh(connectionId);
      for (const { headers, form } of world.tokenRequests) {
        const basic = Buffer.from("the-client:the-client-secret").toString("base64");
        expect(headers.authorization).toBe(`Basic ${basic}`);
        expect(form.has("client_secret")).toBe(false);
      }
      expect(world.tokenRequests).toHaveLength(2);
    },
  );

  // MUTATION: `classify` says invalid_grant for every 4xx.
  it.each([
    [429, { error: "rate_limited" }, 503],
    [408, {}, 503],
    [401, { error: "invalid_client" }, 409],
    [400, { error: "invalid_request" }, 409],
    [403, { error: "access_denied" }, 503],
    [500, { error: "invalid_grant" }, 503],
  ])("answered %i %j leaves the connection active and its token usable", async (status, body, said) => {
    const connectionId = await world.connect(await world.register());
    const before = (await world.token(connectionId)).body;
    world.answerToken = refusing(status, body, { "retry-after": "1" });
    expect((await world.refresh(connectionId)).status).toBe(said);
    expect(await world.status(connectionId)).toBe("active");
    expect((await world.token(connectionId)).body).toEqual(before);
    world.answerToken = () => json({ access_token: "fixed", token_type: "Bearer", expires_in: 3600 });
    // The daemon waits as long as the provider asked, and probes a profile that was refused.
    let fixed = await world.refresh(connectionId);
    for (let minute = 0; minute < 30 && fixed.status !== 200; minute++) {
      world.clock.advance(60_000);
      fixed = await world.refresh(connectionId);
    }
    expect(fixed.body.access_token).toBe("fixed");
  });

  // MUTATION: `transitions.attention` loses `active`.
  it("that is refused for good asks for a person, and a new consent fixes it", async () => {
    const connectionId = await world.connect(await world.register());
    world.answerToken = refusing(400, { error: "invalid_grant" });
    expect(await world.refresh(connectionId)).toMatchObject({
      status: 409,
      body: { error: "attention_required" },
    });
    expect(await world.status(connectionId)).toBe("attention");
    const { authUrl } = await world.clients.connections.requestConnection({ connectionId });
    await world.consent(authUrl);
    expect(await world.status(connectionId)).toBe("active");
    expect((await world.token(connectionId)).status).toBe(200);
  });
});

describe("6: refreshes", () => {
  // MUTATION: `Refresher.refresh` performs without single flight and lock.
  it("at once are one request to the provider", async () => {
    const connectionId = await world.connect(await world.register());
    const used = new Set<string>();
    world.answerToken = ({ form }) => {
      const token = form.get("refresh_token") ?? "";
      if (used.has(token)) return json({ error: "invalid_grant" }, 400);
      used.add(token);
      const next = { access_token: `a${used.size}`, refresh_token: `r${used.size}` };
      return json({ ...next, token_type: "Bearer", expires_in: 3600 });
    };
    const answers = await Promise.all(Array.from({ length: 8 }, () => world.refresh(connectionId)));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(used.size).toBe(1);
    expect(await world.status(connectionId)).toBe("active");
  });

  // MUTATION: the scheduler is neither started nor woken.
  it("happen by themselves before a token expires", async () => {
    const own = await ScriptedWorld.make();
    const connectionId = await own.connect(await own.register());
    const watcher = new Watcher(own.clients.tokens, { connectionIds: [connectionId] });
    await watcher.until((event) => event.case === "bookmark");
    own.clock.advance(56 * 60_000);
    const { token } = await watcher.state(({ revision }) => revision === 2n);
    expect(token?.credentials["access_token"]).toBe("access-2-secret");
    watcher.cancel();
    await own.close();
  });
});

// MUTATION: `normaliseTokenResponse` looks neither at `error` nor at `ok`.
it.each([
  ["GitHub's way", { error: "bad_refresh_token", error_description: "no" }],
  ["Slack's way", { ok: false, error: "invalid_refresh_token" }],
  ["both", { error: "server_error", access_token: "not a token", expires_in: 3600 }],
])("7: a provider's error sent with HTTP 200, %s, is no token", async (_name, body) => {
  const providerId = await world.register();
  const connectionId = await world.connect(providerId);
  world.answerToken = refusing(200, body);
  expect((await world.refresh(connectionId)).status).toBeGreaterThanOrEqual(409);
  world.answerToken = () => json(body);
  const { authUrl, connection_id } = await world.request(providerId);
  expect((await world.consent(authUrl)).url).toContain("status=error&error=token_exchange_failed");
  expect(await world.status(connection_id)).toBe("failed");
});

it("7: and it overwrites no good token", async () => {
  const connectionId = await world.connect(await world.register());
  const before = (await world.token(connectionId)).body;
  world.answerToken = refusing(200, { error: "temporarily_unavailable" });
  expect((await world.refresh(connectionId)).status).toBe(503);
  expect((await world.token(connectionId)).body).toEqual(before);
});

// MUTATION: `ConnectionCompleter.#consume` reads the state without deleting it.
it("8: a second callback with the same state leaves an active connection active", async () => {
  const { authUrl, connection_id } = await world.request(await world.register());
  const browser = new Browser();
  const { place } = world;
  const stopped = await browser.get(authUrl, (url) => url.startsWith(place.config.redirectUri));
  expect((await world.consent(stopped.url, browser)).url).toContain("status=success");
  expect((await world.consent(stopped.url, browser)).status).toBe(404);
  expect((await world.consent(`${stopped.url}&error=access_denied`, browser)).status).toBe(404);
  expect(await world.status(connection_id)).toBe("active");
  expect((await world.token(connection_id)).status).toBe(200);
  expect(world.tokenRequests).toHaveLength(1);
});

describe("9: params", () => {
  // MUTATION: `readContractParams` keeps no extra parameter when one value is no text.
  it("keep their extra authorization parameters beside a value that is no text", async () => {
    const params = { access_type: "offline", prompt: "consent", max_age: 5, skip_scope_on_exchange: true };
    const providerId = await world.register({ params });
    await world.connect(providerId);
    const sent = world.authorizations.at(-1);
    expect([sent?.get("access_type"), sent?.get("prompt")]).toEqual(["offline", "consent"]);
    expect((await world.rest.get(`/v1/providers/${providerId}`)).body.params).toEqual(params);
  });

  // MUTATION: `protocolParams` is empty.
  it.each(["state", "redirect_uri", "client_id", "code_challenge", "response_type", "scope"])(
    "cannot override %s",
    async (name) => {
      const before = world.authorizations.length;
      const refused = await world.rest.post("/v1/providers", {
        profile: {
          name: `override-${name.replace("_", "-")}`,
          client_id: "the-client",
          client_secret: "s",
          auth_url: `${world.provider.origin}/authorize`,
          token_url: `${world.provider.origin}/token`,
          params: { [name]: "http://evil.example/", prompt: "consent" },
        },
      });
      expect([refused.status, refused.body.error]).toEqual([400, "invalid_argument"]);
      expect(refused.body.message).toContain(name);
      expect(world.authorizations).toHaveLength(before);
    },
  );
});

describe("10: a consent", () => {
  // MUTATION: `Connections.request` takes the scopes of the request as they are.
  it("asks for the default scopes of the profile, or for those of the request", async () => {
    const providerId = await world.register({ scopes: ["read", "write"] });
    const byDefault = await world.request(providerId, { scopes: [] });
    expect(byDefault.scopes).toEqual(["read", "write"]);
    await world.consent(byDefault.authUrl);
    const asked = await world.request(providerId, { scopes: ["read"] });
    await world.consent(asked.authUrl);
    expect(world.authorizations.map((sent) => sent.get("scope"))).toEqual(["read write", "read"]);
  });

  // MUTATION: `ConnectionCompleter.finish` answers a page for an error response, and ends nothing.
  it("that is denied returns to the caller and is not pending any more", async () => {
    const { authUrl, connection_id } = await world.request(await world.register({ name: "denied" }));
    world.decision = "deny";
    const { url } = await world.consent(authUrl);
    expect(url).toBe(
      `${returnUrl}&status=error&error=access_denied&connection_id=${connection_id}&provider=denied`,
    );
    expect(await world.status(connection_id)).toBe("failed");
  });
});

describe("12: the daemon", () => {
  // MUTATION: `restRoutes` asks for a key only where no route takes the method.
  it("asks everybody at a port for a key, at every route", async () => {
    const { rest } = world;
    const connectionId = await world.connect(await world.register());
    for (const { method, path, open } of restTable) {
      if (open) continue;
      const url = path.replace(/\{\w+\}/, connectionId);
      const forwarded = { "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1" };
      expect((await rest.send(method, url, undefined, forwarded)).status, `${method} ${path}`).toBe(401);
    }
    const rpc = await fetch(`${world.place.httpUrl}/nexus.v1.NexusService/GetToken`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ connectionId }),
    });
    expect(rpc.status).toBe(401);
  });

  // MUTATION: `CredentialReader` reveals the refresh token beside the access token.
  it("answers no refresh token and no client secret, even with the key", async () => {
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    const answers = await Promise.all([
      world.token(connectionId),
      world.refresh(connectionId),
      world.rest.get(`/v1/providers/${providerId}`),
      world.rest.get("/v1/providers"),
      world.rest.send("PUT", `/v1/providers/${providerId}`, { description: "x" }),
    ]);
    const text = JSON.stringify(answers.map(({ body }) => body));
    expect(text).toContain("access-");
    for (const secret of ["refresh-1-secret", "refresh-2-secret", "the-client-secret"]) {
      expect(text.includes(secret), secret).toBe(false);
    }
  });
});

describe("14: a return URL", () => {
  // MUTATION: `checkReturnUrl` lets everything pass when the list is empty.
  it("is refused as long as nobody allowed its origin", async () => {
    const bare = await ScriptedWorld.make({ NEXUS_ALLOWED_RETURN_URLS: "" });
    const refused = await bare.rest.post("/v1/request-connection", {
      user_id: "ada",
      provider_id: await bare.register(),
      return_url: "https://app.example/back",
    });
    expect([refused.status, refused.body.details[0].field]).toEqual([400, "return_url"]);
    await bare.close();
  });

  // MUTATION: `checkReturnUrl` compares how the texts begin.
  it.each([
    "http://127.0.0.1:39990/",
    "http://127.0.0.1:3999.evil.example/",
    "https://127.0.0.1:3999/",
    "javascript:alert(1)",
  ])("of another origin is refused: %s", async (return_url) => {
    const refused = await world.rest.post("/v1/request-connection", {
      user_id: "ada",
      provider_id: await world.register(),
      return_url,
    });
    expect([refused.status, refused.body.details[0].field]).toEqual([400, "return_url"]);
  });
});

describe("15: an id_token", () => {
  const key = newSigningKey("k1");
  const refused = async (claims: (nonce: string) => object | undefined) => {
    const { authUrl, connection_id } = await world.request(await openId(() => [key], claims));
    expect((await world.consent(authUrl)).url).toContain("error=id_token_verification_failed");
    expect(await world.status(connection_id)).toBe("failed");
  };

  // MUTATION: `processIdToken` takes the issuer from the claims.
  it("of an issuer that it names itself is refused", () =>
    refused((nonce) => ({ nonce, iss: "https://evil.example" })));

  // MUTATION: `TokenEndpointClient.exchangeCode` does not require an id_token.
  it("that is missing is refused", () => refused(() => undefined));

  // MUTATION: the nonce is the state.
  it("is bound by a nonce that is not the state", async () => {
    await refused(() => ({ nonce: world.authorizations.at(-1)?.get("state") }));
    const sent = world.authorizations.at(-1);
    expect(sent?.get("nonce")).toMatch(/^[\w-]{43}$/);
    expect(sent?.get("nonce")).not.toBe(sent?.get("state"));
  });

  // MUTATION: `verifySignature` does not try again with fresh keys.
  it("signed by a rotated key is accepted at once", async () => {
    const keys = [newSigningKey("old")];
    const providerId = await openId(
      () => keys.slice(-1),
      (nonce) => ({ nonce }),
    );
    await world.connect(providerId);
    keys.push(newSigningKey("new"));
    expect(await world.status(await world.connect(providerId))).toBe("active");
  });
});

describe("16: a ciphertext", () => {
  // MUTATION: `encodePlace` leaves out the connection.
  it("is bound to its connection: moved to another, it does not open", async () => {
    const moved = await ScriptedWorld.make();
    const providerId = await moved.register();
    const [mine, theirs] = [await moved.connect(providerId), await moved.connect(providerId)];
    await moved.restart(async () => {
      const store = Store.open({ folder: moved.place.config.dataDir, nowMs: 1 });
      const stolen = store.getCredential(theirs);
      if (!stolen) throw new Error("no credential");
      expect(stolen.sealed.keyId).toMatch(/^[0-9a-f]{16}$/);
      await store.commit((tx) => tx.putCredential(mine, stolen));
      await store.close();
    });
    const answer = await moved.token(mine);
    expect([answer.status, answer.body.error]).toEqual([500, "data_loss"]);
    expect((await moved.token(theirs)).status).toBe(200);
    await moved.close();
  });

  // MUTATION: `Vault.seal` keeps the plaintext.
  it("is what a client secret lies in, and every token", async () => {
    await world.connect(await world.register());
    const file = readFileSync(join(world.place.config.dataDir, "nexus.mdb"), "latin1");
    expect(file).toContain("the-client");
    for (const secret of ["the-client-secret", "access-1-secret", "refresh-1-secret"]) {
      expect(file.includes(secret), secret).toBe(false);
    }
  });
});

// MUTATION, one at a time: `sanitisedCode` lets every text pass; the completer logs the code under a harmless name.
it("17: codes and states are not logged, and a provider's error body is told to nobody", async () => {
  const providerId = await world.register();
  const { authUrl, state, connection_id } = await world.request(providerId);
  await world.consent(authUrl);
  const leak = "upstream-leak-4711";
  world.answerToken = refusing(400, { error: leak, error_description: leak, trace: leak });
  const failed = await world.refresh(connection_id);
  expect(failed.status).toBe(503);
  world.answerToken = () => json(`<h1>${leak}</h1>`, 502);
  const second = await world.request(providerId);
  const page = await world.consent(second.authUrl);
  const told = JSON.stringify([failed.body, (await world.token(connection_id)).body, page]);
  const log = world.place.logLines.join("");
  expect(log.length).toBeGreaterThan(1000);
  expect(told.includes(leak)).toBe(false);
  for (const secret of [leak, state, second.state, "code-1-secret", "code-2-secret", "access-1-secret"]) {
    expect(log.includes(secret), secret).toBe(false);
  }
});

describe("18: PUT", () => {
  const profile = {
    scopes: ["read"],
    description: "words",
    category: "tests",
    api_base_url: "https://api.example",
    auth_header: "client_secret_basic",
    params: { prompt: "consent", odd: 1 },
  };

  // MUTATION: `change` reads the body with `profileOfContract`, as if it were whole.
  it.each(["PUT", "PATCH"])("and PATCH keep what they do not mention (%s)", async (method) => {
    const id = await world.register(profile);
    const before = (await world.rest.get(`/v1/providers/${id}`)).body;
    const { status, body } = await world.rest.send(method, `/v1/providers/${id}`, { description: "others" });
    expect([status, body.client_secret_set]).toEqual([200, true]);
    expect(body).toEqual({ ...before, description: "others", updated_at: body.updated_at });
    // As the GitOps client sends it: everything that it knows, the rest null.
    const whole = {
      name: before.name,
      enable_discovery: false,
      scopes: null,
      params: null,
      client_secret: null,
    };
    expect((await world.rest.send(method, `/v1/providers/${id}`, whole)).body).toEqual({
      ...body,
      updated_at: expect.any(String),
    });
    await world.connect(id);
  });

  // MUTATION: `change` answers 200 for a profile that it does not find.
  it("of an unknown id is 404", async () => {
    const { status, body } = await world.rest.send("PUT", `/v1/providers/${unknownId}`, { description: "x" });
    expect([status, body.error]).toEqual([404, "provider_not_found"]);
  });

  // MUTATION: `ofCode` has 400 for already_exists.
  it("to a taken name, and POST of one, is 409 and says so", async () => {
    const id = await world.register(profile);
    await world.register({ ...profile, name: "taken" });
    const answers = [
      await world.rest.send("PUT", `/v1/providers/${id}`, { name: "taken" }),
      await world.rest.post("/v1/providers", { profile: { name: "taken", auth_type: "api_key" } }),
    ];
    for (const { status, body } of answers) {
      expect([status, body.error, body.message]).toEqual([
        409,
        "already_exists",
        expect.stringContaining('"taken"'),
      ]);
    }
  });
});

function nexus() {
  return createClient(
    NexusService,
    createGrpcTransport({
      baseUrl: "http://localhost",
      nodeOptions: { createConnection: () => connect(world.place.socket) },
    }),
  );
}

// MUTATION: `nexusService` answers an empty token when the call fails.
it("19: gRPC answers a missing or inactive connection with an error, not with an empty token", async () => {
  const missing = { connectionId: unknownId };
  expect((await failureOf(nexus().getToken(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus().refreshConnection(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus().checkConnection(missing))).code).toBe("NotFound");
  expect((await failureOf(nexus().getToken({ connectionId: "no-id" }))).code).toBe("InvalidArgument");
  const providerId = await world.register();
  const { connection_id } = await world.request(providerId);
  const pending = await failureOf(nexus().getToken({ connectionId: connection_id }));
  expect(pending).toMatchObject({ code: "FailedPrecondition", reason: "CONNECTION_PENDING" });
  const active = { connectionId: await world.connect(providerId) };
  expect((await nexus().getToken(active)).token).toEqual((await world.token(active.connectionId)).body);
  await world.clients.connections.revokeConnection(active);
  expect((await failureOf(nexus().getToken(active))).reason).toBe("CONNECTION_REVOKED");
  const request = nexus().requestConnection({ userId: "ada", providerName: "nobody" });
  expect((await failureOf(request)).code).toBe("NotFound");
});

describe("20: a connection", () => {
  it("can be listed, consented to again, revoked and deleted", async () => {
    const providerId = await world.register();
    const connectionId = await world.connect(providerId, { user_id: "eve" });
    const { connections } = world.clients;
    const list = async () => (await connections.listConnections({ userId: "eve" })).connections;
    expect((await list()).map(({ id }) => id)).toEqual([connectionId]);
    const { authUrl } = await connections.requestConnection({ connectionId });
    await world.consent(authUrl);
    expect((await list())[0]?.revision).toBe(2n);
    await connections.revokeConnection({ connectionId });
    expect(await world.status(connectionId)).toBe("revoked");
    expect((await world.token(connectionId)).body.error).toBe("connection_revoked");
    await connections.deleteConnection({ connectionId });
    expect(await list()).toEqual([]);
    expect((await world.token(connectionId)).status).toBe(404);
  });

  // MUTATION: `ProviderRegistry.delete` deletes nothing.
  it("of a deleted provider starts no new consent, and none that was asked for is completed", async () => {
    const providerId = await world.register();
    const { authUrl, connection_id } = await world.request(providerId);
    const { status, body } = await world.rest.send("DELETE", `/v1/providers/${providerId}`);
    expect([status, body.orphaned_connections]).toEqual([200, 1]);
    const anew = await world.rest.post("/v1/request-connection", { user_id: "ada", provider_id: providerId });
    expect([anew.status, anew.body.error]).toEqual([404, "provider_not_found"]);
    expect((await world.consent(authUrl)).status).toBe(410);
    expect(await world.status(connection_id)).not.toBe("active");
    expect(world.authorizations).toHaveLength(0);
  });
});
