import { describe, expect, it } from "vitest";
import { registered, requestOf } from "../../../daemon/requests.js";
import { consent, type Page } from "../../../fakes/browser.js";
import { perSuite } from "../../../lifetimes.js";
import { type McpClient, McpWorld, type Revision, type Transport } from "./mcp_world.js";

describe("tools", () => {
  const kinds: [Transport, Revision][] = [
    ["stdio", "2025-11-25"],
    ["stdio", "2026-07-28"],
    ["http", "2025-11-25"],
    ["http", "2026-07-28"],
  ];

  // Each host starts a process.
  describe.each(kinds)("nexusd mcp over %s in revision %s", { timeout: 60_000 }, (transport, revision) => {
    const mcp = perSuite(() => McpWorld.make());
    const host = (more: object = {}): Promise<McpClient> => mcp.client({ transport, revision, ...more });
    let count = 0;
    /** A provider of its own for each test, whose API is the echo. */
    const register = async (): Promise<{ readonly provider: string; readonly id: string }> => {
      const provider = `op-${++count}`;
      const id = await mcp.world.register(provider);
      await mcp.world.clients.providers.updateProvider({
        provider: { id, apiBaseUrl: mcp.api.origin },
        updateMask: { paths: ["api_base_url"] },
      });
      return { provider, id };
    };

    it("offers its tools, and a token only when told to", async () => {
      const client = await host();
      const tools = ["list_providers", "list_connections", "connection_status", "connect", "call_api"];
      expect(await client.tools()).toEqual(tools);
      expect(client.client.getServerVersion()?.name).toBe("nexusd");
      const generous = await host({ flags: ["--allow-get-token"] });
      expect(await generous.tools()).toEqual([...tools, "get_token"]);
    });

    it("gives the link to a client that cannot show it, and waits for the person in connection_status", async () => {
      const { provider } = await register();
      const client = await host();
      expect(await client.data("list_providers")).toMatchObject({
        providers: expect.arrayContaining([
          expect.objectContaining({ name: provider, auth_type: "oauth2", api_base_url: mcp.api.origin }),
        ]),
      });
      expect(await client.text("call_api", { provider, path: "/user" })).toBe(
        `the user has no connection to ${provider}\na person has to consent: call the tool connect with {"provider":"${provider}"}`,
      );
      const link = await client.data("connect", { provider });
      expect(link).toMatchObject({ provider, status: "waiting_for_person", reason: "not_connected" });
      expect(await client.data("connect", { provider })).toMatchObject({ auth_url: link["auth_url"] });
      const told: unknown[] = [];
      const waiting = client.call(
        "connection_status",
        { provider, wait_seconds: 60 },
        { onprogress: (progress) => told.push(progress.message) },
      );
      await expect.poll(() => told.length).toBeGreaterThan(0);
      expect(told[0]).toContain("waiting for the person");
      expect((await consent(mcp.world.browser, String(link["auth_url"]))).status).toBe(200);
      expect((await waiting).structuredContent).toMatchObject({
        provider,
        user: "ada",
        status: "active",
      });
      expect(await client.data("connect", { provider })).toMatchObject({ status: "connected" });
      expect(await client.data("list_connections")).toMatchObject({
        connections: expect.arrayContaining([
          expect.objectContaining({
            provider,
            user: "ada",
            account: { subject: "ada" },
            status: "active",
          }),
        ]),
      });
      expect(await client.text("call_api", { provider, path: "/user" })).toContain('{"login":"ada"}');
      expect(mcp.api.calls.at(-1)?.headers.authorization).toMatch(/^Bearer \S{20,}$/);
    });

    it("lets a client that can show the link ask the person, and waits", async () => {
      const { provider } = await register();
      const links: string[] = [];
      const client = await host({
        onLink: (url: string, message: string) => {
          links.push(url, message);
          void consent(mcp.world.browser, url);
          return "accept";
        },
      });
      expect(await client.data("connect", { provider })).toMatchObject({ status: "connected" });
      expect(links).toEqual([
        expect.stringMatching(/\/auth\/start\?state=/),
        expect.stringContaining(`connect your account at ${provider}`),
      ]);
      if (revision === "2025-11-25") await expect.poll(() => client.completed.length).toBe(1);
    });

    it("says that the person does not want the link, or said no at the provider", async () => {
      const { provider } = await register();
      const declining = await host({ onLink: () => "decline" });
      expect(await declining.data("connect", { provider })).toMatchObject({ status: "declined" });
      let visit: Promise<Page> | undefined;
      const denied = await host({
        onLink: (url: string) => {
          visit = consent(mcp.world.browser, url, "deny");
          return "accept";
        },
      });
      const answer = denied.data("connect", { provider });
      answer.catch(() => undefined);
      await expect.poll(() => visit).toBeDefined();
      // The time of the daemon stands still: it waits for the person for as long as its caller does.
      expect(await visit).toMatchObject({ body: expect.stringContaining("access_denied") });
      expect(await answer).toMatchObject({
        status: "not_connected",
        // A person who is faster than the question's answer said no to a link that nobody waited for yet.
        reason: expect.stringMatching(/^(access_denied|not_connected)$/),
      });
    });

    it("asks for more scopes, and keeps the link that the person has while it waits", async () => {
      const { provider, id } = await register();
      await mcp.world.connect(id);
      const client = await host();
      const scopes = ["openid", "profile"];
      const link = await client.data("connect", { provider, scopes });
      expect(link).toMatchObject({ status: "waiting_for_person", reason: "scopes_missing" });
      expect(await client.data("connection_status", { provider })).toMatchObject({
        status: "active",
        waiting_for: "the person, until the link ends",
      });
      const told: unknown[] = [];
      const waiting = client.call(
        "connection_status",
        { provider, wait_seconds: 60 },
        { onprogress: (progress) => told.push(progress.message) },
      );
      await expect.poll(() => told.length).toBeGreaterThan(0);
      expect((await consent(mcp.world.browser, String(link["auth_url"]))).status).toBe(200);
      const status = (await waiting).structuredContent;
      expect(status).toMatchObject({ status: "active", scopes: expect.arrayContaining(["profile"]) });
      expect(status).not.toHaveProperty("waiting_for");
      expect(await client.data("connect", { provider, scopes })).toMatchObject({ status: "connected" });
    });

    it("says of a connection that works that the person declined what it was asked for", async () => {
      const { provider, id } = await register();
      const connectionId = await mcp.world.connect(id);
      const client = await host();
      const link = await client.data("connect", { provider, scopes: ["openid", "profile"] });
      await consent(mcp.world.browser, String(link["auth_url"]), "deny");
      await mcp.world.clients.tokens.refreshToken({ connectionId });
      expect(await client.data("connection_status", { provider })).toMatchObject({
        status: "active",
        last_request_failed: "access_denied",
      });
    });

    it("does not wait longer than it was told", async () => {
      const { provider } = await register();
      const client = await host({ onLink: () => "accept" });
      expect(await client.data("connect", { provider, wait_seconds: 0 })).toMatchObject({
        status: "waiting_for_person",
      });
    });

    it("refreshes a token that the API refused, and calls once more", async () => {
      const { provider, id } = await register();
      await mcp.world.connect(id);
      const client = await host();
      const tokens: (string | undefined)[] = [];
      mcp.api.answer = (response, { headers }) => {
        tokens.push(headers.authorization);
        if (tokens.length === 1)
          response.writeHead(401, { "www-authenticate": 'Bearer error="invalid_token"' }).end();
        else response.writeHead(200, { "content-type": "text/plain" }).end("fine");
      };
      expect(await client.text("call_api", { provider, path: "/user" })).toMatch(/^HTTP 200 OK[\s\S]*fine$/);
      expect(new Set(tokens).size).toBe(2);
      const grants = mcp.world.provider.tokenRequests.map(({ grantType }) => grantType);
      expect(grants.slice(-2)).toEqual(["authorization_code", "refresh_token"]);
    });

    it("names the scopes that the API wants, shows the link where it names none, and stays connected", async () => {
      const { provider, id } = await register();
      await mcp.world.connect(id);
      const client = await host();
      const challenge = 'Bearer error="insufficient_scope"';
      const refused = async (wwwAuthenticate: string) => {
        mcp.api.answer = (response) =>
          void response.writeHead(403, { "www-authenticate": wwwAuthenticate }).end();
        return await client.text("call_api", { provider, path: "/user" });
      };
      const call = JSON.stringify({ provider, scopes: ["profile"] });
      expect(await refused(`${challenge}, scope="openid profile"`)).toContain(`call connect with ${call}`);
      expect(await client.data("connect", { provider })).toMatchObject({ status: "connected" });
      const link = await client.data("connect", { provider, scopes: ["profile"] });
      expect(await refused(challenge)).toContain(String(link["auth_url"]));
    });

    it("showed no credential and no key in any message, log or error", () => {
      const sent = mcp.api.calls.map(({ headers }) => headers.authorization?.replace(/^Bearer /, "") ?? "");
      expect(sent.length).toBeGreaterThan(0);
      const seen = mcp.seen.join("\n");
      for (const secret of [...sent, mcp.world.place.apiKey])
        expect([secret.length > 16, seen.includes(secret)]).toEqual([true, false]);
    });
  });
});

describe("a device", () => {
  const television = {
    client_id: "television",
    client_secret: "a secret of the television, long enough",
    token_endpoint_auth_method: "client_secret_post" as const,
    redirect_uris: [],
    response_types: [],
    grant_types: ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
  };

  describe("nexusd mcp with a device authorization", { timeout: 60_000 }, () => {
    const mcp = perSuite(() => McpWorld.make({ clients: [television] }));

    it("shows the code and its page instead of a link", async () => {
      const { clients, provider } = mcp.world;
      await registered(clients, {
        name: "op",
        clientId: television.client_id,
        clientSecret: television.client_secret,
        issuer: provider.issuer,
        enableDiscovery: true,
        scopes: ["openid"],
      });
      const asked = await clients.connections.requestConnection(requestOf("op", { device: true }));
      const given = { transport: "stdio", revision: "2025-11-25" } as const;
      const plain = await mcp.client(given);
      const answer = await plain.data("connect", { provider: "op" });
      expect(answer).toMatchObject({
        status: "waiting_for_person",
        verification_uri: asked.verificationUri,
        user_code: asked.userCode,
        verification_uri_complete: asked.verificationUriComplete,
      });
      expect(answer).not.toHaveProperty("auth_url");
      const shown: string[] = [];
      const asking = await mcp.client({
        ...given,
        onLink: (url, message) => {
          shown.push(url, message);
          return "cancel";
        },
      });
      expect(await asking.data("connect", { provider: "op" })).toMatchObject({ status: "declined" });
      expect(shown).toEqual([asked.verificationUriComplete, expect.stringContaining(asked.userCode)]);
    });
  });
});
