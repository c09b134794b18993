import { lookup } from "node:dns/promises";
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../cli/fake_shell.js";
import { failureOf } from "../daemon/errors.js";
import { Place } from "../daemon/harness.js";
import { registered, requestOf } from "../daemon/requests.js";
import { goodTokens, returnUrl, ScriptedWorld } from "../daemon/scripted_world.js";
import { perTest } from "../lifetimes.js";
import { json, startScriptedServer } from "../oauth/scripted_server.js";
import { newSigningKey } from "../oauth/signing_key.js";

const closed = { NEXUS_ALLOW_LOOPBACK_PROVIDERS: "false" };

let world: ScriptedWorld;
/** Where nothing may arrive. */
const elsewhere = perTest(() => startScriptedServer());
afterEach(async () => {
  vi.unstubAllEnvs();
  await world.close();
});

const manual = (origin: string) => ({
  name: "p",
  clientId: "c",
  clientSecret: "s",
  authUrl: `${origin}/authorize`,
  tokenUrl: `${origin}/token`,
});

/** A name, and no special one, that leads to this machine or to its private network. */
async function privateName(): Promise<string> {
  for (const name of [hostname().toLowerCase(), "ip6-localhost", "ip6-loopback"]) {
    const found = await lookup(name, { all: true }).catch(() => []);
    if (found.length > 0) return name;
  }
  throw new Error("this machine has no name in its hosts file");
}

/** Where no provider stands by default, and what opens it. */
const forbidden: readonly (readonly [origin: string, setting: string])[] = [
  ["http://localhost:4444", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["http://127.0.0.1:4444", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["http://[::1]:4444", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://127.1", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://0x7f000001", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://0177.0.0.1", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://[::ffff:7f00:1]", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://op.localhost.", "NEXUS_ALLOW_LOOPBACK_PROVIDERS"],
  ["https://10.0.0.1", "NEXUS_ALLOWED_PRIVATE_NETWORKS"],
  ["https://100.64.0.1", "NEXUS_ALLOWED_PRIVATE_NETWORKS"],
  ["https://[fd00::1]", "NEXUS_ALLOWED_PRIVATE_NETWORKS"],
  ["https://169.254.169.254", "no setting allows it"],
  ["https://metadata.google.internal", "no setting allows it"],
  ["https://[64:ff9b::a00:1]", "no setting allows it"],
  ["https://[2002:7f00:1::]", "no setting allows it"],
  ["https://224.0.0.1", "no setting allows it"],
  ["https://0.0.0.0", "no setting allows it"],
];

describe("a provider on this machine or in a private network", () => {
  test("is refused when its profile is written, by field and setting", async () => {
    world = await ScriptedWorld.make(closed);
    const { providers } = world.clients;
    for (const [origin, setting] of forbidden) {
      const oauth2 = await failureOf(providers.createProvider({ provider: manual(origin) }));
      expect([oauth2.code, oauth2.fields]).toEqual([
        "InvalidArgument",
        ["provider.auth_url", "provider.token_url"],
      ]);
      const discovered = await failureOf(
        providers.createProvider({
          provider: { name: "p", clientId: "c", clientSecret: "s", issuer: origin, enableDiscovery: true },
        }),
      );
      expect(discovered.fields).toEqual(["provider.issuer"]);
      const tried = await failureOf(
        providers.createProvider({
          provider: {
            name: "p",
            authType: AuthType.API_KEY,
            apiBaseUrl: "https://api.example",
            userInfoEndpoint: `${origin}/me`,
          },
        }),
      );
      expect(tried.fields).toEqual(["provider.user_info_endpoint"]);
      for (const { message } of [oauth2, discovered, tried]) expect(message).toContain(setting);
      const { status, body } = await world.rest.post("/v1/providers", {
        profile: {
          name: "p",
          client_id: "c",
          client_secret: "s",
          auth_url: `${origin}/a`,
          token_url: `${origin}/t`,
        },
      });
      expect(status).toBe(400);
      expect(JSON.stringify(body)).toContain(setting);
      expect((await providers.listProviders({})).providers).toEqual([]);
    }
  });

  test("is accepted in a private network that the setting names, and in no other", async () => {
    world = await ScriptedWorld.make({ ...closed, NEXUS_ALLOWED_PRIVATE_NETWORKS: "10.1.0.0/16, fd00::/8" });
    const create = (host: string) =>
      world.clients.providers.createProvider({
        provider: { ...manual(`https://${host}`), name: `p-${Math.random().toString(36).slice(2)}` },
      });
    for (const host of ["10.1.2.3", "[::ffff:10.1.2.3]", "[fd00::7]"]) await create(host);
    for (const host of ["10.2.0.1", "192.168.0.1", "[fc00::1]", "127.0.0.1", "169.254.169.254"]) {
      expect((await failureOf(create(host))).code, host).toBe("InvalidArgument");
    }
    // Plain http stays closed there.
    const plain = manual("http://10.1.2.3");
    expect((await failureOf(world.clients.providers.createProvider({ provider: plain }))).message).toContain(
      "https",
    );
  });

  test("that was stored under an open setting is not called under a closed one, and says why", async () => {
    world = await ScriptedWorld.make();
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    const profileId = await registered(world.clients, {
      name: "keys",
      authType: AuthType.API_KEY,
      apiBaseUrl: world.provider.origin,
      userInfoEndpoint: "/me",
    });
    const sent = world.provider.requests.length;
    await world.stop();
    const place = await Place.make({ NEXUS_DATA_DIR: world.place.config.dataDir, ...closed });
    world.daemon = await place.start(world.clock);
    const { tokens, connections } = place.clients();
    const refused = await failureOf(tokens.refreshToken({ connectionId }));
    expect([refused.code, refused.reason]).toEqual(["FailedPrecondition", "PROVIDER_MISCONFIGURED"]);
    const { connection } = await connections.getConnection({ connectionId });
    expect(connection?.problem?.reason).toBe("misconfigured");
    // A living token is served all the same.
    expect((await tokens.getToken({ connectionId })).token?.credentials["access_token"]).toBe(
      "access-1-secret",
    );
    const requested = await failureOf(
      connections.requestConnection({ userId: "bob", provider: { case: "providerId", value: providerId } }),
    );
    expect(requested).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(requested.message).toContain("NEXUS_ALLOW_LOOPBACK_PROVIDERS");
    const tried = await failureOf(
      connections.importConnection({
        userId: "ada",
        providerId: profileId,
        credentials: { api_key: "k" },
      }),
    );
    expect(tried).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(tried.message).toContain("NEXUS_ALLOW_LOOPBACK_PROVIDERS");
    expect(place.logLines.join("")).toContain("NEXUS_ALLOW_LOOPBACK_PROVIDERS");
    expect(world.provider.requests.length).toBe(sent);
  });

  test("by a name is not connected to, and an open port answers like a closed one", async () => {
    let knocks = 0;
    const listener: Server = createServer((socket) => {
      knocks++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => listener.listen(0, "::", resolve));
    const { port } = listener.address() as { port: number };
    world = await ScriptedWorld.make(closed);
    const name = await privateName();
    const ask = async (issuer: string) => {
      const providerId = await registered(world.clients, {
        name: `p-${issuer.split(":").at(-1)}`,
        clientId: "c",
        clientSecret: "s",
        issuer,
        enableDiscovery: true,
      });
      return await failureOf(world.clients.connections.requestConnection(requestOf(providerId)));
    };
    const [open, shut] = [await ask(`https://${name}:${port}`), await ask(`https://${name}:1`)];
    expect(open).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(open.message).toMatch(/NEXUS_ALLOW(ED_PRIVATE_NETWORKS|_LOOPBACK_PROVIDERS)/);
    // The URL is the profile's own.
    expect({ ...shut, message: shut.message.replace(":1/", `:${port}/`) }).toEqual(open);
    expect(knocks).toBe(0);
    await new Promise((resolve) => listener.close(resolve));
  });
});

describe("an answer of a provider", () => {
  const refreshed = async (answer: Parameters<typeof json>) => {
    const good = goodTokens();
    world.answerToken = (request) =>
      request.form.get("grant_type") === "refresh_token" ? json(...answer) : good(request);
    const connectionId = await world.connect(await world.register());
    return await world.refresh(connectionId);
  };

  test.each([301, 302, 303, 307, 308])(
    "that redirects with %d is not followed with credentials",
    async (status) => {
      world = await ScriptedWorld.make();
      const answer = await refreshed(["", status, { location: `${elsewhere.origin}/token` }]);
      expect(answer.status).toBe(503);
      expect(elsewhere.requests).toEqual([]);
    },
  );

  test("that redirects discovery is not followed", async () => {
    world = await ScriptedWorld.make();
    const { provider } = world;
    provider.script = json("", 302, { location: `${elsewhere.origin}/.well-known/openid-configuration` });
    const id = await world.register({
      issuer: provider.origin,
      enable_discovery: true,
      auth_url: "",
      token_url: "",
    });
    await expect(world.request(id)).rejects.toThrow();
    // Once for the warning of the profile that is created, once for the connection.
    expect(provider.requests).toHaveLength(2);
    expect(elsewhere.requests).toEqual([]);
  });

  test("that never ends is cut off at its size", async () => {
    world = await ScriptedWorld.make();
    let written = 0;
    const good = goodTokens();
    world.answerToken = (request) =>
      request.form.get("grant_type") !== "refresh_token"
        ? good(request)
        : (response) => {
            response.writeHead(200, { "content-type": "application/json" });
            const chunk = Buffer.alloc(64 * 1024, " ");
            const pour = (): void => {
              if (response.destroyed) return;
              written += chunk.byteLength;
              response.write(chunk, () => setImmediate(pour));
            };
            pour();
          };
    const answer = await world.refresh(await world.connect(await world.register()));
    expect(answer.status).toBe(503);
    expect(written).toBeLessThan(32 * 1024 * 1024);
  });

  test("that unpacks to 256 MiB is not unpacked", async () => {
    world = await ScriptedWorld.make();
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024, " "));
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const good = goodTokens();
    world.answerToken = (request) =>
      request.form.get("grant_type") !== "refresh_token"
        ? good(request)
        : (response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    const connectionId = await world.connect(await world.register());
    const before = process.memoryUsage().arrayBuffers;
    expect((await world.refresh(connectionId)).status).toBe(503);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  const drip = (response: ServerResponse): void => {
    response.writeHead(200);
    const timer = setInterval(() => response.write(" "), 100);
    response.once("close", () => clearInterval(timer));
  };

  test("that drips is cut off at the total deadline", async () => {
    world = await ScriptedWorld.make();
    const { provider } = world;
    provider.script = drip;
    const startMs = performance.now();
    const id = await world.register({
      issuer: provider.origin,
      enable_discovery: true,
      auth_url: "",
      token_url: "",
    });
    await expect(world.request(id)).rejects.toThrow();
    expect(performance.now() - startMs).toBeLessThan(40_000);
  });

  test("that drips from a token endpoint keeps no caller for longer than 25 s", async () => {
    world = await ScriptedWorld.make();
    const good = goodTokens();
    let end = (): void => undefined;
    const dripped = new Promise<void>((resolve) => {
      world.answerToken = (request) =>
        request.form.get("grant_type") !== "refresh_token"
          ? good(request)
          : (response) => {
              drip(response);
              end = () => void response.end();
              resolve();
            };
    });
    const connectionId = await world.connect(await world.register());
    const refreshing = world.refresh(connectionId);
    await dripped;
    world.clock.advance(25_000);
    expect((await refreshing).status).toBe(503);
    end();
  });

  test("that sets cookies does not get them back", async () => {
    world = await ScriptedWorld.make();
    const good = goodTokens();
    world.answerToken = (request) => (response, received) => {
      response.setHeader("set-cookie", ["session=canary; Path=/", "other=canary"]);
      good(request)(response, received);
    };
    const connectionId = await world.connect(await world.register());
    for (let i = 0; i < 2; i++) expect((await world.refresh(connectionId)).status).toBe(200);
    expect(world.tokenRequests).toHaveLength(3);
    for (const { headers } of world.tokenRequests) expect(headers.cookie).toBeUndefined();
  });
});

test("a proxy of the environment is not asked", async () => {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"]) {
    vi.stubEnv(name, elsewhere.origin);
  }
  vi.stubEnv("NODE_USE_ENV_PROXY", "1");
  world = await ScriptedWorld.make();
  expect(await world.status(await world.connect(await world.register()))).toBe("active");
  expect(elsewhere.requests).toEqual([]);
});

describe("the keys of a provider", () => {
  const openId = (jwks: () => unknown[], idToken: (claims: Record<string, unknown>) => string) => {
    const issuer = world.provider.origin;
    world.documents.set("/jwks", () => ({ keys: jwks() }));
    world.answerToken = () => {
      const iat = Math.floor(world.clock.nowMs() / 1000);
      const nonce = world.authorizations.at(-1)?.get("nonce");
      const claims = { iss: issuer, aud: "the-client", sub: "ada", iat, exp: iat + 60, nonce };
      return json({ access_token: "a", token_type: "Bearer", expires_in: 60, id_token: idToken(claims) });
    };
    return world.register({ issuer, jwks_url: `${issuer}/jwks`, scopes: ["openid"] });
  };
  const fetched = () => world.provider.requests.filter(({ path }) => path === "/jwks").length;
  const refused = async (providerId: string) => {
    const { authUrl } = await world.request(providerId);
    expect((await world.consent(authUrl)).url).toContain("error=id_token_verification_failed");
  };
  const logged = () => world.place.logLines.filter((line) => line.includes("code not exchanged"));

  test("are not fetched at the pace of made-up key ids", async () => {
    world = await ScriptedWorld.make();
    const key = newSigningKey("k");
    let flood = 0;
    const providerId = await openId(
      () => [key.jwk],
      (claims) => key.sign(claims, { kid: `made-up-${flood++}` }),
    );
    for (let i = 0; i < 20; i++) await refused(providerId);
    expect(flood).toBe(20);
    expect(logged()[0]).toContain(
      "unknown_key: the provider's keys were fetched again and lack the one that it names",
    );
    expect(logged().at(-1)).toContain(
      "lack the one that it names, and were fetched too often to be fetched now",
    );
    expect(logged().join("")).not.toContain("made-up");
    expect(fetched()).toBe(5);
  });

  test("are fetched anew after a rotation, and after another one at once", async () => {
    world = await ScriptedWorld.make();
    const keys = [newSigningKey("k1")];
    const providerId = await openId(
      () => keys.slice(-1).map(({ jwk }) => jwk),
      (claims) => keys.at(-1)?.sign(claims) ?? "",
    );
    await world.connect(providerId);
    for (const kid of ["k2", "k3"]) {
      keys.push(newSigningKey(kid));
      await world.connect(providerId);
    }
    expect(fetched()).toBe(3);
  });

  test.each<[name: string, keysOf: (jwk: Record<string, unknown>) => unknown[]]>([
    [
      "more than 100",
      (jwk) => Array.from({ length: 101 }, (_, i) => ({ ...jwk, kid: i === 0 ? "k" : `${i}` })),
    ],
    ["more than 256 KiB", (jwk) => [jwk, { pad: "a".repeat(256 * 1024) }]],
    ["of 1024 bits", (jwk) => [{ ...jwk, n: String(jwk["n"]).slice(0, 171) }]],
    ["with their private half", (jwk) => [{ ...jwk, d: "AQAB" }]],
    ["shared secrets", (jwk) => [{ ...jwk, kty: "oct", k: "c2VjcmV0" }]],
  ])("verify nothing when they are %s", async (_name, keysOf) => {
    world = await ScriptedWorld.make();
    const key = newSigningKey("k");
    await refused(
      await openId(
        () => keysOf(key.jwk),
        (claims) => key.sign(claims),
      ),
    );
  });
});

describe("a profile edit that would send a refresh token elsewhere", () => {
  test.each<[name: string, change: () => { tokenUrl?: string; clientId?: string; issuer?: string }]>([
    ["token URL", () => ({ tokenUrl: `${elsewhere.origin}/token` })],
    ["issuer", () => ({ issuer: elsewhere.origin })],
    ["client", () => ({ clientId: "another" })],
  ])("(%s) puts its connections to re-consent instead, under the same id", async (_name, change) => {
    world = await ScriptedWorld.make();
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    const { providers, connections, tokens } = world.clients;
    const sent = world.tokenRequests.length;
    const provider = { id: providerId, ...change() };
    const paths = Object.keys(change()).map((name) =>
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    );
    const answer = await providers.updateProvider({ provider, updateMask: { paths } });
    expect(answer.partedConnections).toBe(1);

    const { connection } = await connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ATTENTION);
    expect(connection?.problem?.reason).toBe("reauth_required");
    for (const call of [tokens.getToken, tokens.refreshToken]) {
      expect(await failureOf(call({ connectionId }))).toMatchObject({
        code: "FailedPrecondition",
        reason: "ATTENTION_REQUIRED",
      });
    }
    world.clock.advance(2 * 3_600_000);
    expect(world.tokenRequests.length).toBe(sent);
    expect(elsewhere.requests).toEqual([]);

    elsewhere.script = json({
      access_token: "new",
      refresh_token: "r",
      token_type: "Bearer",
      expires_in: 3600,
    });
    const again = await connections.requestConnection(requestOf(providerId, { returnUrl, connectionId }));
    expect(again.connectionId).toBe(connectionId);
    await world.consent(again.authUrl);
    expect(await world.status(connectionId)).toBe("active");
    const received = JSON.stringify(elsewhere.requests.map(({ form }) => form.toString()));
    expect(received).not.toContain("refresh-1-secret");
  });

  test("by REST does the same, and a harmless one nothing", async () => {
    world = await ScriptedWorld.make();
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    await world.rest.send("PATCH", `/v1/providers/${providerId}`, { description: "x", scopes: ["other"] });
    expect(await world.status(connectionId)).toBe("active");
    expect((await world.refresh(connectionId)).status).toBe(200);
    const tokenUrl = `${elsewhere.origin}/token`;
    const { status } = await world.rest.send("PATCH", `/v1/providers/${providerId}`, { token_url: tokenUrl });
    expect(status).toBe(200);
    expect(await world.status(connectionId)).toBe("attention");
    expect((await world.refresh(connectionId)).status).toBe(409);
    expect(elsewhere.requests).toEqual([]);
  });

  test("by the command line does the same, and the command says so", async () => {
    world = await ScriptedWorld.make();
    const providerId = await world.register({ name: "op" });
    const connectionId = await world.connect(providerId);
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } });
    expect(await run(["provider", "update", "op", "--token-url", `${elsewhere.origin}/token`], shell)).toBe(
      0,
    );
    expect(shell.err()).toContain("1 connection waits for consent now");
    expect(await world.status(connectionId)).toBe("attention");
    const back = fakeShell({ env: { NEXUS_DATA_DIR: world.place.config.dataDir } });
    const home = `${world.provider.origin}/token`;
    expect(await run(["provider", "update", "op", "--token-url", home], back)).toBe(0);
    expect(back.err()).toBe("");
    expect(await world.status(connectionId)).toBe("active");
    expect((await world.refresh(connectionId)).status).toBe(200);
    expect(elsewhere.requests).toEqual([]);
  });

  test("does not send it by a revocation either", async () => {
    world = await ScriptedWorld.make();
    const providerId = await world.register();
    const connectionId = await world.connect(providerId);
    await world.clients.providers.updateProvider({
      provider: { id: providerId, oauth2Options: { revocationUrl: `${elsewhere.origin}/revoke` } },
      updateMask: { paths: ["oauth2_options"] },
    });
    await world.clients.connections.revokeConnection({ connectionId });
    world.clock.advance(60_000);
    const { events } = await world.clients.audit.listAuditEvents({ connectionId });
    expect(events.map(({ eventType }) => eventType)).toContain("revocation_given_up");
    expect(elsewhere.requests).toEqual([]);
  });
});
