import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AuthType, type ProviderSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { staticCases } from "../../../daemon/capture_world.js";
import { CertifiedApi } from "../../../fakes/certified_api.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type McpClient, McpWorld } from "./mcp_world.js";

const secret = "canary-api-key-0123456789";
const plain = { "content-type": "text/plain" };

// Each host starts a process.
describe("call_api", { timeout: 60_000 }, () => {
  const mcp = perSuite(() => {
    const policy = join(temporaryFolder(), "policy.yaml");
    writeFileSync(policy, "rules: [{ providers: [asked], then: ask }]\n");
    return McpWorld.make({}, { NEXUS_POLICY_FILE: policy });
  });
  let client: McpClient;
  let fine: typeof mcp.api.answer;
  const host = (...flags: string[]) => mcp.client({ transport: "stdio", revision: "2026-07-28", flags });
  const add = async (provider: MessageInitShape<typeof ProviderSchema>, credentials: object) => {
    const { clients } = mcp.world;
    const created = await clients.providers.createProvider({ provider });
    const providerId = created.provider?.id ?? "";
    const given = credentials as Record<string, string>;
    await clients.connections.importConnection({ userId: "ada", providerId, credentials: given });
  };
  const apiKey = (name: string, apiBaseUrl: string, more: object = {}) =>
    add(
      {
        name,
        authType: AuthType.API_KEY,
        apiBaseUrl,
        strategy: { kind: { case: "header", value: { headerName: "Authorization" } } },
        ...more,
      },
      { api_key: secret },
    );
  const text = (given: Record<string, unknown>) => client.text("call_api", { provider: "api", ...given });
  beforeAll(async () => {
    fine = mcp.api.answer;
    await apiKey("api", `${mcp.api.origin}/v3/`);
    client = await host("--method", "any");
  });
  beforeEach(() => {
    mcp.api.answer = fine;
  });
  afterEach(() => {
    mcp.api.calls.splice(0);
    expect(mcp.seen.join("\n")).not.toContain(secret);
    mcp.seen.splice(0);
  });

  it("shows the certificate of the credential to an API that asks for one", async () => {
    const certified = await CertifiedApi.forTest();
    const provider = certified.profile;
    const fields = certified.fieldsOf("ada");
    await add(provider, fields);
    expect(await text({ provider: "bank", path: "/user" })).toMatch(/^HTTP 200 .*\n(.*\n)*ada$/);
    expect([certified.shown, certified.keys]).toEqual([["ada"], [fields.api_key]]);
    expect(mcp.seen.join("\n")).not.toContain(fields.tls_client_key.split("\n")[1]);
  });

  it("sends the request below the base URL with the credential, and answers what came", async () => {
    mcp.api.answer = (response) =>
      response
        .writeHead(201, {
          "content-type": "application/json",
          link: "</v3/user?page=2>; rel=next",
          "set-cookie": "a=b",
        })
        .end('{"id":7}');
    const answer = await text({
      method: "post",
      path: "/user?a=1",
      query: { q: "x y&z", tag: ["b", "c"] },
      headers: { "X-Trace": "1" },
      json: { name: "Zoë" },
    });
    expect(answer).toMatch(
      /^HTTP 201 Created\ncontent-type: application\/json\nlink: <\/v3\/user\?page=2>; rel=next\n\n\{"id":7\}$/,
    );
    const [call] = mcp.api.calls;
    expect(call).toMatchObject({
      method: "POST",
      target: "/v3/user?a=1&q=x+y%26z&tag=b&tag=c",
      headers: {
        authorization: `Bearer ${secret}`,
        "content-type": "application/json",
        "x-trace": "1",
        "user-agent": expect.stringMatching(/^nexusd\//),
      },
    });
    expect(call?.body.toString()).toBe('{"name":"Zoë"}');
  });

  it.each(staticCases)("puts in the credential of $name as its strategy says", async (given) => {
    const { name, authType, strategy, header, target } = given;
    await add(
      { name, authType, apiBaseUrl: mcp.api.origin, ...(strategy ? { strategy } : {}) },
      given.fields,
    );
    expect(await client.text("call_api", { provider: name, path: "/v1/me" })).toContain("HTTP 200 OK");
    const [call] = mcp.api.calls;
    if (header) expect(call?.headers[header[0]]).toMatch(header[1]);
    expect(call?.target).toBe(target ?? "/v1/me");
  });

  it("signs the body that it sends", async () => {
    const strategy = { kind: { case: "hmacPayload", value: { headerName: "X-Sign" } } } as const;
    const provider = {
      name: "signed",
      authType: AuthType.HMAC_PAYLOAD,
      apiBaseUrl: mcp.api.origin,
      strategy,
    };
    await add(provider, { api_secret: secret });
    await client.text("call_api", { provider: "signed", method: "POST", path: "/hook", body: "ä=1" });
    expect(mcp.api.calls[0]?.headers["x-sign"]).toBe(
      createHmac("sha256", secret).update("ä=1").digest("hex"),
    );
  });

  it.each([
    [{ path: "/../admin" }, "path: must stay below"],
    [{ path: "../v2/x" }, "path: must stay below"],
    [{ path: "/%2e%2e/admin" }, "path: must stay below"],
    [{ path: "/a/%252e%252e/%252e%252e/admin" }, "path: must stay below"],
    [{ path: "/..%2fadmin" }, "path: must stay below"],
    [{ path: "/..;/admin" }, "path: must stay below"],
    [{ path: "/..%20/admin" }, "path: must stay below"],
    [{ path: "/..%00/admin" }, "path: must be below"],
    [{ path: "/%c0%ae%c0%ae/admin" }, "path: must be below"],
    [{ path: "/a/../b" }, "path: must stay below"],
    [{ path: "\\..\\admin" }, "path: must be below"],
    [{ path: "//evil.example/x" }, "path: must be below"],
    [{ path: "/a\r\nX: y" }, "path: must be below"],
    [{ path: "https://evil.example/v3/x" }, "the credential goes to http://127.0.0.1:"],
    [{ path: "http://127.0.0.1:1/v3/x" }, "the credential goes to http://127.0.0.1:"],
    [{ path: "http://user:pw@127.0.0.1/v3/x" }, "the credential goes to http://127.0.0.1:"],
    [{ path: "file:///etc/passwd" }, "the credential goes to http://127.0.0.1:"],
    [{ path: "/x", headers: { Authorization: "Bearer mine" } }, "headers authorization: nexusd sets it"],
    [{ path: "/x", headers: { "x-a": "1\r\nauthorization: Bearer mine" } }, "the value holds characters"],
    [{ path: "/x", headers: { "x-a\r\nauthorization": "y" } }, "must be a header name"],
    [{ path: "/x", headers: { host: "evil.example" } }, "must be a header of the request itself"],
    [{ path: "/x", headers: { "Transfer-Encoding": "chunked" } }, "must be a header of the request itself"],
    [{ path: "/x", headers: { Cookie: "a=b" } }, "headers cookie: nexusd sets it"],
    [{ path: "/x", headers: { "Accept-Encoding": "gzip" } }, "headers accept-encoding: nexusd sets it"],
    [{ path: "/x", headers: { Range: "bytes=0-7" } }, "headers range: nexusd sets it"],
    [{ path: "/x", headers: { "If-Range": "etag" } }, "headers if-range: nexusd sets it"],
    [{ path: "/x", headers: { "X-HTTP-Method-Override": "DELETE" } }, "nexusd sets it, or it would lead"],
    [{ path: "/x", headers: { "X-Forwarded-Host": "evil.example" } }, "nexusd sets it, or it would lead"],
    [{ path: "/x", headers: { "x-a": "y".repeat(20_000) } }, "headers: at most 50 with 16384 bytes"],
    [{ path: "/x", method: "CONNECT" }, "is not a method"],
    [{ path: "/x", method: "GET / HTTP/1.1\r\n" }, "is not a method"],
    [{ path: "/x", json: {}, body: "" }, "json and body exclude each other"],
    [{ path: "/x", body: "y".repeat(1_048_577) }, "the body has 1048577 bytes, more than 1048576"],
    [{ path: "/x", provider: "apo" }, "there is no provider apo: call list_providers"],
    [{ path: "/x", user: "bob" }, "user"],
    [{ path: "/x", timeout: 5 }, "timeout"],
    [{}, "path"],
  ])("refuses %j and sends nothing", async (given, words) => {
    const result = await client.call("call_api", { provider: "api", ...given });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain(words);
    expect(mcp.api.calls).toEqual([]);
  });

  it.each([
    ["/user/repos", "/v3/user/repos"],
    ["user", "/v3/user"],
    ["", "/v3/"],
    ["/projects/group%2Fname/x..y", "/v3/projects/group%2Fname/x..y"],
    ["/a b#c", "/v3/a%20b"],
    ["/..a/...", "/v3/..a/..."],
  ])("takes the path %j as %s", async (path, target) => {
    await text({ path });
    expect(mcp.api.calls[0]?.target).toBe(target);
  });

  it("takes the URL of a next page, and none outside of the base URL", async () => {
    await text({ path: `${mcp.api.origin}/v3/user?page=2` });
    expect(mcp.api.calls[0]?.target).toBe("/v3/user?page=2");
    expect(await text({ path: `${mcp.api.origin}/admin` })).toContain("path: must stay below");
    expect(await text({ path: `${mcp.api.origin}/v30/x` })).toContain("path: must stay below");
    expect(mcp.api.calls).toHaveLength(1);
  });

  it("overwrites what the model puts where the strategy puts the credential", async () => {
    const query = { kind: { case: "queryParam", value: { paramName: "key" } } } as const;
    await apiKey("query-key", mcp.api.origin, { strategy: query });
    await client.text("call_api", {
      provider: "query-key",
      path: "/x?key=mine&a=1&%6bey=mine",
      query: { key: "mine" },
    });
    expect(mcp.api.calls[0]?.target).toBe(`/x?key=${secret}&a=1`);
    const header = {
      kind: { case: "header", value: { headerName: "X-Key", credentialField: "api_key" } },
    } as const;
    await apiKey("header-key", mcp.api.origin, { strategy: header });
    await client.text("call_api", { provider: "header-key", path: "/x", headers: { "x-key": "mine" } });
    expect(mcp.api.calls[1]?.headers["x-key"]).toBe(secret);
  });

  it("follows no redirect, since it could lead the credential away", async () => {
    mcp.api.answer = (response) =>
      response.writeHead(302, { ...plain, location: "https://evil.example/" }).end("moved");
    expect(await text({ path: "/x" })).toMatch(
      /^HTTP 302 Found\n[\s\S]*location: https:\/\/evil\.example\/\n\(redirects are not followed.*\)\n\nmoved$/,
    );
    expect(mcp.api.calls).toHaveLength(1);
  });

  it("shows no credential that the API repeats, in any form", async () => {
    mcp.api.answer = (response, { headers }) => {
      const value = headers.authorization ?? "";
      const forms = [
        value,
        encodeURIComponent(secret),
        Buffer.from(secret).toString("base64"),
        secret.toUpperCase(),
      ];
      response
        .writeHead(400, { ...plain, "x-request-id": value, location: `/?t=${secret}` })
        .end(forms.join("|"));
    };
    const answer = await text({ path: "/x" });
    expect(answer).toMatch(/^HTTP 400 Bad Request/);
    expect(answer).toMatch(/\[redacted\]\|\[redacted\]\|\[redacted\]=*\|\[redacted\]$/);
    expect(answer.toLowerCase()).not.toContain(secret);
    await add(
      { name: "basic-echo", authType: AuthType.BASIC_AUTH, apiBaseUrl: mcp.api.origin },
      { username: "ada", password: secret },
    );
    mcp.api.answer = (response, { headers }) =>
      response.writeHead(200, plain).end(`ada ${headers.authorization}`);
    expect(await client.text("call_api", { provider: "basic-echo", path: "/x" })).toMatch(
      /ada (Basic )?\[redacted\]$/,
    );
  });

  it("cuts a long body, says so, and shows no half of a credential at the cut", async () => {
    const short = await host("--max-answer", "100");
    const ask = () => short.text("call_api", { provider: "api", path: "/x" });
    mcp.api.answer = (response) =>
      response.writeHead(200, { ...plain, "content-length": 160 }).end("é".repeat(80));
    expect(await ask()).toMatch(/\n\né{50}\n\n\[cut after 100 bytes: ask for less/);
    mcp.api.answer = (response) => response.writeHead(200, plain).end(`x${"é".repeat(80)}`);
    expect(await ask()).toMatch(/\n\nxé{49}\n\n\[cut after 100 bytes/);
    mcp.api.answer = (response) => response.writeHead(200, plain).end("y".repeat(100));
    expect(await ask()).toMatch(/\n\ny{100}$/);
    mcp.api.answer = (response) =>
      response.writeHead(200, plain).end(`${"z".repeat(90)}${secret}${"z".repeat(500)}`);
    expect(await ask()).toMatch(/\n\nz{90}\[redacted\]\n\n\[cut after 100/);
    mcp.api.answer = (response) => {
      response.writeHead(200, plain);
      const more = () => response.write("w".repeat(65_536)) && setImmediate(more);
      response.on("drain", more).on("error", () => {});
      more();
    };
    expect(await ask()).toMatch(/\n\nw{100}\n\n\[cut after 100 bytes/);
  });

  it("shows no body that is no text, and says what it was", async () => {
    mcp.api.answer = (response) =>
      response
        .writeHead(200, { "content-type": "image/png", "content-length": "2048" })
        .end(Buffer.alloc(2048));
    expect(await text({ path: "/x" })).toContain(
      "content-type: image/png\ncontent-length: 2048\n\n[the body is not shown: it is not text]",
    );
    mcp.api.answer = (response) => response.writeHead(200, { ...plain, "content-encoding": "gzip" }).end("x");
    expect(await text({ path: "/x" })).toContain(
      "content-encoding: gzip\n\n[the body is not shown: the API sent it in a coding",
    );
    mcp.api.answer = (response) => response.writeHead(204).end();
    expect(await text({ path: "/x" })).toBe("HTTP 204 No Content");
  });

  it("says what failed without the URL, which may hold the credential", async () => {
    const strategy = { kind: { case: "queryParam", value: { paramName: "key" } } } as const;
    await apiKey("away", "http://127.0.0.1:1/api", { strategy });
    const result = await client.call("call_api", { provider: "away", path: "/x" });
    expect(result).toMatchObject({
      isError: true,
      content: [{ text: "the request to http://127.0.0.1:1 failed: ECONNREFUSED" }],
    });
  });

  it("says that a refused key needs a person, and sends it once", async () => {
    mcp.api.answer = (response) => response.writeHead(401, plain).end("no");
    const answer = await text({ path: "/x" });
    expect(answer).toMatch(
      /^HTTP 401 Unauthorized[\s\S]*\n\nno\n\n\[the API refuses the credential, and there is no other: /,
    );
    expect(mcp.api.calls).toHaveLength(1);
  });

  it("gives the API up when the client gives the call up", async () => {
    let left = false;
    mcp.api.answer = (response) => response.on("close", () => (left = true));
    const abort = new AbortController();
    const calling = client.call("call_api", { provider: "api", path: "/x" }, { signal: abort.signal });
    await expect.poll(() => mcp.api.calls.length).toBe(1);
    abort.abort();
    await expect(calling).rejects.toThrow();
    await expect.poll(() => left).toBe(true);
  });

  it("does what the person who started it allows, and nothing else", async () => {
    await apiKey("other", `${mcp.api.origin}/other`);
    const { host: apiHost } = new URL(mcp.api.origin);
    const reading = await host();
    expect(await reading.text("call_api", { provider: "api", path: "/x", method: "DELETE" })).toBe(
      "the method DELETE is not allowed by this server, only GET, HEAD: the person who starts it allows others with --method",
    );
    const leaderPage = await host("--host", "api.example.com");
    expect(await leaderPage.text("call_api", { provider: "api", path: "/x" })).toContain(
      `the host ${apiHost} is not allowed by this server, only api.example.com`,
    );
    const narrow = await host("--provider", "other", "--host", apiHost);
    for (const [tool, given] of [
      ["call_api", { path: "/x" }],
      ["connect", {}],
      ["connection_status", {}],
    ] as const) {
      expect(await narrow.text(tool, { provider: " API ", ...given })).toBe(
        "the provider api is not among those of this server: other",
      );
    }
    expect(await narrow.data("list_providers")).toMatchObject({ providers: [{ name: "other" }] });
    expect(await narrow.data("list_connections")).toMatchObject({ connections: [{ provider: "other" }] });
    expect(mcp.api.calls).toEqual([]);
    expect(await narrow.text("call_api", { provider: "other", path: "/x" })).toContain("HTTP 200 OK");
    expect(mcp.api.calls[0]?.target).toBe("/other/x");
  });

  describe("of a request that a rule has a person asked about", () => {
    beforeAll(() => apiKey("asked", `${mcp.api.origin}/asked/`));
    const waiting = async () => (await mcp.world.clients.approvals.listHeldRequests({})).requests;
    const sessions: string[] = [];
    const answer = async (approve: boolean) => {
      const [held] = await waiting();
      if (!held) throw new Error("nothing waits");
      const { id, digest, session } = held;
      sessions.push(session);
      await mcp.world.clients.approvals.decideHeldRequest({ id, digest: Buffer.from(digest), approve });
    };

    it.each([
      ["2025-11-25", "stdio"],
      ["2025-11-25", "http"],
      ["2026-07-28", "stdio"],
      ["2026-07-28", "http"],
    ] as const)(
      "shows its page to the person, and goes on by itself after a yes (%s, %s)",
      async (revision, transport) => {
        const links: string[] = [];
        sessions.length = 0;
        let approves = true;
        const onLink = (url: string) => {
          links.push(url);
          void answer(approves);
          return "accept" as const;
        };
        const flags = ["--method", "any"];
        const asking = await mcp.client({ transport, revision, flags, onLink });
        const given = { provider: "asked", method: "POST", path: "/x", body: "hello" };
        expect(await asking.text("call_api", given)).toMatch(/^HTTP 200/);
        expect(links).toEqual([
          expect.stringMatching(/^http:\/\/[^/]+\/approvals\/[0-9a-f]{16}\.[\w-]{32}$/),
        ]);
        expect(asking.completed.length).toBe(revision === "2025-11-25" ? 1 : 0);
        approves = false;
        expect(await asking.text("call_api", given)).toContain(
          "A reviewer denied this request. Do not retry it.",
        );
        expect(mcp.api.calls.length).toBe(1);
        expect(await waiting()).toEqual([]);
        const [one = "", other] = sessions;
        expect(other).toBe(one);
        expect(one).toMatch(revision === "2026-07-28" && transport === "http" ? /^$/ : /^[0-9a-f-]{36}$/);
      },
    );

    it("is not sent when the person does not open the page", async () => {
      const onLink = () => "decline" as const;
      const asking = await mcp.client({ transport: "stdio", revision: "2026-07-28", onLink });
      expect(await asking.text("call_api", { provider: "asked", path: "/x" })).toContain("was not sent");
      await expect.poll(async () => (await waiting())[0]?.callerLeft).toBe(true);
      await answer(false);
      expect(mcp.api.calls).toEqual([]);
    });

    it("waits at a host that cannot show links, too", async () => {
      const sent = text({ provider: "asked", path: "/x" });
      await expect.poll(async () => (await waiting()).length).toBe(1);
      await answer(true);
      expect(await sent).toMatch(/^HTTP 200/);
    });
  });
});

describe("get_token", { timeout: 60_000 }, () => {
  const mcp = perSuite(() => McpWorld.make());

  it("gives the credential where the person who started the server allows it, and each user's to nobody else", async () => {
    const providerId = await mcp.world.register();
    await mcp.world.connect(providerId);
    const given = { transport: "stdio", revision: "2025-11-25" } as const;
    const client = await mcp.client({ ...given, flags: ["--allow-get-token"] });
    const { credentials } = await client.data("get_token", { provider: "op" });
    const name = { providerName: "op", userId: "ada", label: "" };
    const { token } = await mcp.world.clients.tokens.getToken({ name });
    expect(credentials).toEqual(token?.credentials);
    expect(await client.text("get_token", { provider: "op", label: "work" })).toContain(
      "the user has no connection to op with the label work",
    );
  });
});
