import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { beforeAll, describe, expect, it } from "vitest";
import { AccessService, Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { McpWorld } from "./mcp_world.js";

describe("over HTTP", () => {
  interface Answer {
    readonly status: number | undefined;
    readonly headers: IncomingMessage["headers"];
    readonly body: string;
  }

  const initialize = {
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } },
  };

  describe("nexusd mcp --listen", { timeout: 60_000 }, () => {
    const mcp = perSuite(() => McpWorld.make());
    let url: string;
    beforeAll(async () => {
      url = await mcp.listen(["--any-user", "--allow-host", "mcp.example"]);
    });

    const send = async (
      headers: Record<string, string>,
      {
        method = "POST",
        path = "/mcp",
        body = JSON.stringify(initialize),
        socketPath,
      }: {
        method?: string;
        path?: string;
        body?: string;
        socketPath?: string;
      } = {},
    ): Promise<Answer> => {
      const { hostname, port } =
        socketPath === undefined ? new URL(url) : { hostname: "localhost", port: "" };
      const place = socketPath === undefined ? { host: hostname, port } : { socketPath };
      const type = { "content-type": "application/json", accept: "application/json, text/event-stream" };
      const sent = request({ ...place, path, method, headers: { ...type, ...headers }, agent: false });
      // A length that is declared alone is enough for a refusal.
      if (headers["content-length"] === undefined) sent.end(method === "POST" ? body : undefined);
      else sent.flushHeaders();
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      sent.destroy();
      return { status: response.statusCode, headers: response.headers, body: text };
    };
    const access = () => {
      const createConnection = () => connect(mcp.world.place.socket);
      return createClient(
        AccessService,
        createGrpcTransport({ baseUrl: "http://localhost", nodeOptions: { createConnection } }),
      );
    };
    const keyOf = async (name: string, userIds: string[]): Promise<string> =>
      (await access().createApiKey({ name, role: Role.AGENT, restriction: { userIds } })).key;
    const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

    it.each([
      ["no key", {}, 401],
      ["a wrong key", { authorization: "Bearer nxk_wrong" }, 401],
      ["another scheme", { authorization: "Basic YTpi" }, 401],
      ["a key with characters that none has", { "x-api-key": "a b" }, 401],
      ["a host that was made to lead here", { host: "evil.example" }, 403],
      ["a host that was made to lead here, with a port", { host: "evil.example:8080" }, 403],
      ["a host that only begins like one", { host: "localhost.evil.example" }, 403],
      ["the origin of a web page", { origin: "https://evil.example" }, 403],
      ["an origin that hides itself", { origin: "null" }, 403],
      ["no origin at all", { origin: "not a url" }, 403],
    ])("refuses %s", async (_, headers, status) => {
      const answer = await send(headers);
      expect(answer.status).toBe(status);
      expect(JSON.parse(answer.body)).toMatchObject({
        jsonrpc: "2.0",
        error: { code: expect.any(Number) },
        id: null,
      });
      if (status === 401) expect(answer.headers["www-authenticate"]).toBe('Bearer realm="nexusd"');
      const withKey = await send({ ...bearer(mcp.world.place.apiKey), ...headers });
      if (status === 403) expect(withKey.status).toBe(403);
    });

    it.each([
      ["localhost", { host: "localhost" }],
      ["a loopback address", { host: "127.0.0.1:1234" }],
      ["IPv6", { host: "[::1]:1234" }],
      ["the name of the proxy before it", { host: "mcp.example", origin: "https://mcp.example" }],
      ["a page of this machine", { origin: "http://localhost:3000" }],
    ])("takes %s", async (_, headers) => {
      const answer = await send({ ...bearer(mcp.world.place.apiKey), ...headers });
      expect([answer.status, answer.headers["mcp-session-id"]]).toEqual([
        200,
        expect.stringMatching(/^[0-9a-f-]{36}$/),
      ]);
    });

    it("is at one path, and speaks to no browser", async () => {
      const key = bearer(mcp.world.place.apiKey);
      expect((await send(key, { path: "/" })).status).toBe(404);
      expect((await send(key, { path: "/mcp/../admin" })).status).toBe(404);
      expect((await send(key, { method: "OPTIONS" })).status).toBe(405);
      expect((await send(key, { method: "PUT" })).status).toBe(405);
      expect((await send(key, { body: "{" })).status).toBe(400);
      expect((await send({ ...key, "content-type": "text/plain" })).status).toBe(415);
      expect((await send({ ...key, "content-length": "5000000" })).status).toBe(413);
      const { headers } = await send(key);
      expect(headers).not.toHaveProperty("access-control-allow-origin");
    });

    it("believes no header that says other than the body, and has what it lists kept for one caller alone", async () => {
      const key = await keyOf("mirrored", ["ada"]);
      const names = ["protocolVersion", "clientInfo", "clientCapabilities"];
      const values = ["2026-07-28", { name: "test", version: "1" }, {}];
      const _meta = Object.fromEntries(
        names.map((name, at) => [`io.modelcontextprotocol/${name}`, values[at]]),
      );
      const params = { _meta };
      const body = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", params });
      const headers = { ...bearer(key), "mcp-protocol-version": "2026-07-28" };
      const listed = await send({ ...headers, "mcp-method": "tools/list" }, { body });
      expect([listed.status, listed.body]).toEqual([200, expect.stringContaining('"cacheScope":"private"')]);
      const other = await send({ ...headers, "mcp-method": "tools/call" }, { body });
      expect([other.status, other.body]).toEqual([400, expect.stringMatching(/header/i)]);
    });

    it("acts for each caller by its own key, within that key's restriction, until the key ends", async () => {
      await mcp.world.connect(await mcp.world.register());
      const [adas, bobs] = [await keyOf("adas", ["ada"]), await keyOf("bobs", ["bob"])];
      const given = { transport: "http", revision: "2026-07-28", url } as const;
      const ada = await mcp.client({ ...given, key: adas });
      const bob = await mcp.client({ ...given, key: bobs });
      expect(await ada.data("connection_status", { provider: "op", user: "ada" })).toMatchObject({
        status: "active",
      });
      const refusal = "this key is for user bob; you asked for ada";
      expect(await bob.text("connection_status", { provider: "op", user: "ada" })).toContain(refusal);
      expect(await bob.text("list_connections", { user: "ada" })).toContain(refusal);
      const { events } = await mcp.world.clients.audit.listAuditEvents({ pageSize: 100 });
      expect(await ada.data("connect", { provider: "op", user: "ada" })).toMatchObject({
        status: "connected",
      });
      const after = await mcp.world.clients.audit.listAuditEvents({ pageSize: 100 });
      const principals = after.events
        .slice(0, after.events.length - events.length)
        .map(({ principal }) => principal);
      expect(principals).toContain("key:adas");
      await access().revokeApiKey({ key: { case: "name", value: "adas" } });
      await expect(ada.tools()).rejects.toThrow();
    });

    it("acts for the user of each key, where nobody says for whom", async () => {
      const providerId = await mcp.world.register("own");
      await mcp.world.connect(providerId);
      const own = await mcp.listen([]);
      const given = { transport: "http", url: own } as const;
      const key = await keyOf("owns", ["ada"]);
      for (const revision of ["2025-11-25", "2026-07-28"] as const) {
        const ada = await mcp.client({ ...given, revision, key });
        expect(await ada.data("connection_status", { provider: "own" })).toMatchObject({ user: "ada" });
        expect((await ada.data("list_connections"))["connections"]).toContainEqual(
          expect.objectContaining({ provider: "own", user: "ada" }),
        );
      }
      const bob = await mcp.client({
        ...given,
        revision: "2026-07-28",
        key: await keyOf("bobs-own", ["bob"]),
      });
      expect(await bob.text("connection_status", { provider: "own" })).toContain(
        "the user has no connection to own",
      );
    });

    it("keeps the session of one caller from another, and ends it when told", async () => {
      const [one, other] = [await keyOf("one", ["ada"]), await keyOf("other", ["bob"])];
      const begun = await send(bearer(one));
      const session = { "mcp-session-id": String(begun.headers["mcp-session-id"]) };
      const ping = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "ping" });
      expect((await send({ ...bearer(one), ...session }, { body: ping })).status).toBe(200);
      expect((await send({ ...bearer(other), ...session }, { body: ping })).status).toBe(404);
      expect((await send({ ...bearer(other), ...session }, { method: "DELETE" })).status).toBe(404);
      expect((await send(bearer(one), { body: ping })).status).toBe(400);
      expect((await send({ ...bearer(one), ...session }, { method: "DELETE" })).status).toBe(200);
      expect((await send({ ...bearer(one), ...session }, { body: ping })).status).toBe(404);
    });

    it("needs no key of the owner over a Unix socket", async () => {
      const path = join(temporaryFolder(), "mcp.sock");
      expect(await mcp.listen([], `unix:${path}`)).toBe(`unix:${path}`);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect((await send({}, { socketPath: path })).status).toBe(200);
      expect((await send({ authorization: "Bearer nxk_wrong" }, { socketPath: path })).status).toBe(401);
      expect((await send({ origin: "https://evil.example" }, { socketPath: path })).status).toBe(403);
    });

    it.each([
      [["--listen", "0.0.0.0:0"], "beyond this machine a key would go unencrypted"],
      [["--listen", "8080"], "is not an address to listen on"],
      [["--user", "ada", "--any-user"], "exclude each other"],
      [["--allow-host", "x.example"], "--allow-host belongs to --listen"],
      [["--method", "CONNECT"], "is not a method"],
      [["--host", "https://x.example/y"], "must be a host alone"],
      [["--max-answer", "0"], "a number of bytes from 1 to"],
    ])("refuses %j", async (flags, words) => {
      await expect(mcp.listenWith(flags)).rejects.toThrow(words);
    });
  });
});

describe("the examples", () => {
  interface Entry {
    readonly command: string;
    readonly args: string[];
    readonly url: string;
    readonly headers: Record<string, string>;
  }

  const root = join(import.meta.dirname, "../../../..");

  /** The one entry of a host's configuration as it stands in examples/mcp. */
  function entryOf(file: string): Entry {
    const text = readFileSync(join(root, "examples/mcp", file), "utf8");
    const { mcpServers, servers = mcpServers } = JSON.parse(text) as Record<string, Record<string, Entry>>;
    const entry = servers?.["nexusd"];
    if (entry === undefined) throw new Error(`${file} names no server nexusd`);
    return entry;
  }

  describe("examples/mcp", { timeout: 60_000 }, () => {
    const mcp = perSuite(() => McpWorld.make());

    it.each(["claude.json", "vscode.json"])("%s starts the server as it stands", async (file) => {
      const bin = join(temporaryFolder(), "bin");
      mkdirSync(bin);
      symlinkSync(join(root, "dist/main.js"), join(bin, "nexusd"));
      const { command, args } = entryOf(file);
      const env = { ...mcp.environment, PATH: `${bin}:${process.env["PATH"]}` };
      const client = new Client({ name: "host", version: "1" });
      await client.connect(new StdioClientTransport({ command, args, env, stderr: "ignore" }));
      expect((await client.listTools()).tools.length).toBeGreaterThan(0);
      await client.close();
    });

    it("http.json leads to a server that listens as its README says, with a key in the environment", async () => {
      const { url, headers } = entryOf("http.json");
      expect(url).toBe("http://127.0.0.1:8095/mcp");
      expect(readFileSync(join(root, "examples/mcp/README.md"), "utf8")).toContain(
        "nexusd mcp --listen 127.0.0.1:8095",
      );
      const at = new URL(await mcp.listen([]));
      expect(at.pathname).toBe(new URL(url).pathname);
      const authorization =
        headers["Authorization"]?.replace(/\$\{NEXUS_API_KEY\}/, mcp.world.place.apiKey) ?? "";
      const client = new Client({ name: "host", version: "1" });
      await client.connect(
        new StreamableHTTPClientTransport(at, { requestInit: { headers: { authorization } } }),
      );
      expect((await client.listTools()).tools.length).toBeGreaterThan(0);
      await client.close();
    });

    it("says how to start the daemon where none runs", async () => {
      const folder = temporaryFolder();
      const { command, args } = mcp.stdioCommand([]);
      const client = new Client({ name: "host", version: "1" });
      const env = { ...mcp.environment, NEXUS_DATA_DIR: folder };
      await client.connect(new StdioClientTransport({ command, args, env, stderr: "ignore" }));
      const result = await client.callTool({ name: "list_providers", arguments: {} });
      expect(JSON.stringify(result)).toContain("is `nexusd serve` running?");
      expect(result.isError).toBe(true);
      await client.close();
    });

    it.each(["ignore", "pipe"] as const)("ends when its input does (%s)", async (stdin) => {
      const { command, args, env } = mcp.stdioCommand([]);
      const child = spawn(command, args, { env, stdio: [stdin, "ignore", "inherit"] });
      child.stdin?.end();
      expect(await once(child, "exit")).toEqual([0, null]);
    });
  });
});
