import { request as httpRequest } from "node:http";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { ClientRegistration } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { failureOf } from "../../../daemon/errors.js";
import { Place, World } from "../../../daemon/harness.js";
import { consent } from "../../../fakes/browser.js";
import { McpServer } from "../../../fakes/mcp_server.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { perTest } from "../../../lifetimes.js";

/** What tokens may be issued for: filled when the MCP server has its port. */
const resources: string[] = [];
const world = perTest(async () => {
  resources.length = 0;
  return await World.make({ mcp: { resources } });
});
const mcp = perTest(async () => {
  const server = await McpServer.start({
    authorizationServers: [world.provider.issuer],
    scopesSupported: ["read"],
  });
  resources.push(server.url);
  return server;
});

const acquire = (more: object = {}) =>
  world.clients.tokens
    .acquireToken({ mcpServerUrl: mcp.url, userId: "ada", ...more })
    .then(({ result }) => result);

/** The token, after ada consented. */
async function connected(more: object = {}) {
  const asked = await acquire(more);
  if (asked.case !== "consent") throw new Error("no consent is needed");
  const page = await consent(world.browser, asked.value.authUrl);
  if (page.status !== 200) throw new Error(page.body);
  const given = await acquire(more);
  if (given.case !== "token") throw new Error("there is no token");
  return { connectionId: asked.value.connectionId, token: given.value };
}

const accessTokenOf = ({ credentials }: { credentials: Record<string, string> }) =>
  credentials["access_token"] ?? "";
const profileOf = async () =>
  (await world.clients.providers.listProviders({})).providers.find(
    ({ mcpServerUrl }) => mcpServerUrl === mcp.url,
  );
const own = 3;

describe("the URL of an MCP server", () => {
  it("is enough: the daemon registers itself, asks a person, and gets tokens for that server alone", async () => {
    mcp.options.requiredScopes = ["read"];
    const { token, connectionId } = await connected();
    expect((await mcp.call(accessTokenOf(token))).status).toBe(200);
    expect(token.grantedScopes).toContain("read");
    const profile = await profileOf();
    expect(profile).toMatchObject({
      name: `127-0-0-1-${new URL(mcp.url).port}`,
      issuer: world.provider.issuer,
      enableDiscovery: true,
      apiBaseUrl: mcp.url,
      scopes: ["read", "offline_access"],
      clientRegistration: ClientRegistration.DYNAMIC,
      clientSecretSet: true,
    });
    expect(profile?.oauth2Options?.resource).toBe(mcp.url);
    expect(world.provider.clientIds()).toContain(profile?.clientId);
    // The refresh names the resource too: without it the provider would issue a token for itself.
    const { token: renewed } = await world.clients.tokens.refreshToken({ connectionId });
    expect(renewed?.revision).toBe(2n);
    expect((await mcp.call(accessTokenOf(renewed as typeof token))).status).toBe(200);
    expect(JSON.stringify(world.place.logLines)).not.toContain(accessTokenOf(token));
  });

  it("names one profile, however it is written, for all who ask at once", async () => {
    const written = [mcp.url, mcp.url.replace("http:", "HTTP:"), ` ${mcp.url}`];
    const answers = await Promise.all(
      written.map((mcpServerUrl) => acquire({ mcpServerUrl: mcpServerUrl.trim() })),
    );
    const links = new Set(answers.map((answer) => answer.case === "consent" && answer.value.authUrl));
    expect(links.size).toBe(1);
    expect((await world.clients.providers.listProviders({})).providers).toHaveLength(1);
    expect(world.provider.clientIds()).toHaveLength(own + 1);
    const created = await world.clients.providers.createProvider({ mcpServerUrl: mcp.url });
    expect(created.provider?.id).toBe((await profileOf())?.id);
    const name = created.provider?.name ?? "";
    expect(await acquire({ mcpServerUrl: "", providerName: name })).toMatchObject({ case: "consent" });
    const again = world.clients.providers.createProvider({
      mcpServerUrl: mcp.url,
      provider: { description: "x" },
    });
    expect((await failureOf(again)).code).toBe("AlreadyExists");
    const other = await world.clients.providers.createProvider({
      mcpServerUrl: mcp.url,
      provider: { name: "other" },
    });
    expect(other.provider).toMatchObject({ name: "other", mcpServerUrl: mcp.url });
    expect(other.redirectUri).toMatch(/\/auth\/callback\/other$/);
  });

  it("gets a profile of its own beside others of its host that are new at the same time", async () => {
    const urls = Array.from({ length: 8 }, (_, index) => `${mcp.url}/${index}`);
    resources.push(...urls);
    const answers = await Promise.all(urls.map((mcpServerUrl) => acquire({ mcpServerUrl })));
    expect(answers.map((answer) => answer.case)).toEqual(urls.map(() => "consent"));
    const { providers } = await world.clients.providers.listProviders({});
    const name = `127-0-0-1-${new URL(mcp.url).port}`;
    const numbered = urls.map((_, index) => (index === 0 ? name : `${name}-${index + 1}`));
    expect(providers.map((profile) => profile.name).sort()).toEqual(numbered.sort());
    expect(world.provider.clientIds()).toHaveLength(own + urls.length);
  });

  it("is served after a restart, by the registration that is stored", async () => {
    const { token } = await connected();
    await world.restart();
    const again = await acquire();
    expect(again).toMatchObject({ case: "token", value: { revision: token.revision } });
    expect(world.provider.clientIds()).toHaveLength(own + 1);
  });

  it("asks for more when the server refuses a token for its scopes", async () => {
    mcp.options.challengedScopes = ["read"];
    mcp.options.requiredScopes = ["write"];
    const { token, connectionId } = await connected();
    const refused = await mcp.call(accessTokenOf(token));
    expect(refused.status).toBe(403);
    const { revision } = token;
    const report = { connectionId, revision, ...refused };
    const { consent: asked } = await world.clients.tokens.reportRejectedToken(report);
    expect(asked?.reason).toBe("scopes_missing");
    const page = await world.browser.get(asked?.authUrl ?? "no link");
    const next = await world.browser.follow(page, "to-provider");
    const allowed = await world.browser.submit(next, { decision: "allow" });
    expect(allowed.status).toBe(200);
    const given = await acquire();
    if (given.case !== "token") throw new Error("there is no token");
    expect([...given.value.grantedScopes].sort()).toEqual(["read", "write"]);
    expect((await mcp.call(accessTokenOf(given.value))).status).toBe(200);
  });

  it("is registered anew when the server lost the client, or gave it another secret", async () => {
    await connected();
    const before = await profileOf();
    const secretBefore = world.provider.changeClient(before?.clientId ?? "", {
      client_secret: "another secret",
    });
    expect(secretBefore).toMatchObject({ client_id: before?.clientId });
    world.clock.advance(120_000);
    const asked = await acquire({ scopes: ["write"] });
    if (asked.case !== "consent") throw new Error("no consent is needed");
    expect((await consent(world.browser, asked.value.authUrl)).status).toBe(200);
    expect((await profileOf())?.clientId).toBe(before?.clientId);
    world.provider.changeClient(before?.clientId ?? "", undefined);
    const found = await world.clients.providers.createProvider({ mcpServerUrl: mcp.url });
    expect(found.provider).toMatchObject({ id: before?.id, issuer: world.provider.issuer });
    expect(found.provider?.clientId).not.toBe(before?.clientId);
    expect(world.provider.clientIds()).toContain(found.provider?.clientId);
    const { token } = await connected();
    expect((await mcp.call(accessTokenOf(token))).status).toBe(200);
  });

  it("leaves no client behind when its profile is deleted, but one whose tokens live", async () => {
    const { provider } = await world.clients.providers.createProvider({ mcpServerUrl: mcp.url });
    expect(world.provider.clientIds()).toHaveLength(own + 1);
    await world.clients.providers.deleteProvider({ id: provider?.id ?? "" });
    expect(world.provider.clientIds()).toHaveLength(own);
    await connected();
    await world.clients.providers.deleteProvider({ id: (await profileOf())?.id ?? "" });
    expect(world.provider.clientIds()).toHaveLength(own + 1);
  });
});

describe("a server that names another authorization server", () => {
  const second = perTest(() => startOpenIdProvider({ redirectUris: [], mcp: { resources } }).then(stopped));

  it("is followed: a new client, a new consent, and nothing of the old one", async () => {
    const { token, connectionId } = await connected();
    const before = await profileOf();
    mcp.options.authorizationServers = [second.issuer];
    const refused = await mcp.call(accessTokenOf(token));
    expect(refused.status).toBe(401);
    const report = world.clients.tokens.reportRejectedToken({
      connectionId,
      revision: token.revision,
      ...refused,
    });
    expect(await failureOf(report)).toMatchObject({
      code: "FailedPrecondition",
      reason: "ATTENTION_REQUIRED",
    });
    const after = await profileOf();
    expect(after).toMatchObject({ id: before?.id, issuer: second.issuer });
    expect(after?.clientId).not.toBe(before?.clientId);
    expect(second.clientIds()).toContain(after?.clientId);
    expect(world.provider.clientIds()).not.toContain(before?.clientId);
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ATTENTION);
    const renewed = await connected();
    expect(renewed.connectionId).toBe(connectionId);
    expect((await mcp.call(accessTokenOf(renewed.token))).status).toBe(200);
    expect(second.tokenRequests.map(({ clientId }) => clientId)).toEqual([after?.clientId]);
  });

  it("is followed before a person consents, too", async () => {
    await world.clients.providers.createProvider({ mcpServerUrl: mcp.url });
    mcp.options.authorizationServers = [second.issuer, world.provider.issuer];
    world.clock.advance(120_000);
    await acquire();
    // The one that the client is registered at is still named.
    expect(await profileOf()).toMatchObject({ issuer: world.provider.issuer });
    mcp.options.authorizationServers = [second.issuer];
    world.clock.advance(120_000);
    await connected({ userId: "eve" });
    expect(await profileOf()).toMatchObject({ issuer: second.issuer });
  });

  it("is not shown the client that a person registered elsewhere", async () => {
    const { clientId, clientSecret } = world.provider.clients.post;
    const client = { clientId, clientSecret };
    const leaderPage = world.clients.providers.createProvider({
      mcpServerUrl: mcp.url,
      provider: { ...client, issuer: second.issuer },
    });
    expect(await failureOf(leaderPage)).toMatchObject({ reason: "PROVIDER_MISCONFIGURED" });
    const { provider } = await world.clients.providers.createProvider({
      mcpServerUrl: mcp.url,
      provider: { ...client, issuer: world.provider.issuer },
    });
    expect(provider).toMatchObject({ clientId, clientRegistration: ClientRegistration.UNSPECIFIED });
    mcp.options.authorizationServers = [second.issuer];
    world.clock.advance(120_000);
    const failure = await failureOf(acquire());
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "CLIENT_REGISTRATION_REQUIRED" });
    expect(failure.message).toContain(second.issuer);
    expect(await profileOf()).toMatchObject({ clientId, issuer: world.provider.issuer });
    expect(second.tokenRequests).toEqual([]);
  });
});

it("a server that registers nobody says what a person has to do", async () => {
  const closed = await startOpenIdProvider({ redirectUris: [], mcp: { resources, registration: false } });
  try {
    mcp.options.authorizationServers = [closed.issuer];
    const failure = await failureOf(acquire());
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "CLIENT_REGISTRATION_REQUIRED" });
    expect(failure.message).toContain(`/auth/callback/127-0-0-1-${new URL(mcp.url).port}`);
    expect(await profileOf()).toBeUndefined();
  } finally {
    await closed.stop();
  }
});

it("a client may be a document that the daemon serves, where it has an https URL", async () => {
  const place = await Place.make({ NEXUS_PUBLIC_URL: "https://nexus.example" });
  const [address] = (place.environment["NEXUS_BROWSER_LISTEN"] ?? "").split(",");
  const documents = async (url: unknown) => {
    const { pathname, host } = new URL(String(url instanceof Request ? url.url : url));
    return await fromListener(address ?? "", host, pathname);
  };
  const features = { resources, registration: false, clientIdMetadataDocuments: true };
  const given = { mcp: { ...features, fetch: documents as typeof fetch } };
  const other = await World.make(given, place);
  try {
    mcp.options.authorizationServers = [other.provider.issuer];
    const { provider } = await other.clients.providers.createProvider({ mcpServerUrl: mcp.url });
    const clientId = `https://nexus.example/client-metadata/${provider?.name}.json`;
    expect(provider).toMatchObject({
      clientId,
      clientSecretSet: false,
      clientRegistration: ClientRegistration.METADATA_DOCUMENT,
    });
    const document = await (await documents(clientId)).json();
    expect(document).toMatchObject({
      client_id: clientId,
      redirect_uris: [`https://nexus.example/auth/callback/${provider?.name}`],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "private_key_jwt",
      token_endpoint_auth_signing_alg: "ES256",
      jwks_uri: "https://nexus.example/.well-known/jwks.json",
      application_type: "web",
    });
    const { keys } = (await (await documents("https://nexus.example/.well-known/jwks.json")).json()) as {
      keys: object[];
    };
    expect(keys).toMatchObject([{ kty: "EC", crv: "P-256" }]);
    // The certified server fetches the document, and shows its consent page for what it names.
    const { result } = await other.clients.tokens.acquireToken({ mcpServerUrl: mcp.url, userId: "ada" });
    if (result.case !== "consent") throw new Error("no consent is needed");
    const state = new URL(result.value.authUrl).search;
    const start = await fromListener(address ?? "", "nexus.example", `/auth/start${state}`);
    const page = await other.browser.get(start.headers.get("location") ?? "");
    expect(page).toMatchObject({ status: 200 });
    expect(page.body).toContain('id="provider-login"');
    for (const path of ["/client-metadata.json", "/client-metadata/unknown.json"]) {
      expect((await fromListener(address ?? "", "nexus.example", path)).status).toBe(404);
    }
  } finally {
    await other.close();
  }
});

/** What the browser listener answers behind the proxy of its public URL. */
function fromListener(address: string, host: string, path: string): Promise<Response> {
  const [hostname, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ hostname, port, path, headers: { host } }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const headers = new Headers(
          Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
        );
        resolve(new Response(Buffer.concat(chunks), { status: incoming.statusCode ?? 500, headers }));
      });
    });
    outgoing.on("error", reject).end();
  });
}

/** With the name by which `perTest` closes what it made. */
function stopped(provider: OpenIdProvider): OpenIdProvider & { close(): Promise<void> } {
  return Object.assign(provider, { close: () => provider.stop() });
}
