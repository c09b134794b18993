import { once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { describe, expect, it } from "vitest";
import { placeholderOf } from "../../../../src/catalogue/catalogue.js";
import { proxyCredentials } from "../../../../src/ext/egress/proxy/proxy.js";
import type { AcquireTokenRequest } from "../../../../src/gen/nexus/v1/token_pb.js";
import { Authority } from "../../../fakes/certificates.js";
import { perTest } from "../../../lifetimes.js";
import { ApiStandIn } from "../api_stand_in.js";
import { canary, consentOf, EgressWorld, tokenIn, tokenOf, type WorldOptions } from "./egress_world.js";
import { ProxyClient } from "./proxy_client.js";

const worldWith = (options: WorldOptions = {}) => perTest(() => EgressWorld.start(options));

describe.each([1, 2] as const)("a request over HTTP/%i", (version) => {
  const egress = worldWith();

  it("gets the credential of its provider, instead of one of its own", async () => {
    const headers = { authorization: "Bearer mine", "x-api-key": "mine", cookie: "mine=1", "x-own": "kept" };
    const { status, body } = await egress.ask("/v1/user?page=2", { version, headers });
    expect([status, body]).toEqual([200, "ok"]);
    const [{ path, headers: got } = { path: "", headers: {} }] = egress.received;
    expect(path).toBe("/v1/user?page=2");
    expect(got).toMatchObject({ "x-api-key": canary, "x-own": "kept" });
    expect(JSON.stringify(got)).not.toContain("mine");
    expect(egress.acquiredFor).toMatchObject([{ providerName: "acme", userId: "ada", label: "" }]);
  });

  it("gets an answer with 40 KiB of headers", async () => {
    egress.respond = (_, response) => {
      for (let at = 0; at < 40; at++) response.setHeader(`x-long-${at}`, "a".repeat(1_000));
      response.end("ok");
    };
    const { sent, answered, close } = await egress.open("/v1/user", { version, maxHeaderSize: 64 * 1024 });
    sent.end();
    expect((await answered).headers).toMatchObject({ "x-long-39": "a".repeat(1_000) });
    close();
  });

  it.runIf(version === 1)("leaves its connection open for two minutes", async () => {
    const { headers } = await egress.ask("/v1/user", { headers: { connection: "keep-alive" } });
    expect(headers["keep-alive"]).toBe("timeout=120");
  });

  it("reaches the API in the same version", async () => {
    await egress.ask("/v1/user", { version });
    expect(egress.received[0]?.version).toBe(version === 2 ? "2.0" : "1.1");
  });

  it("loses a placeholder wherever it stands, and nothing else", async () => {
    const headers = { "private-token": placeholderOf(undefined, "acme"), "x-own": "kept" };
    await egress.ask(`/v1/user?key=${placeholderOf(undefined, "acme")}&page=2`, { version, headers });
    await egress.ask(`/v1/user?key=${placeholderOf(undefined, "acme")}`, { version });
    expect(egress.received.map(({ path }) => path)).toEqual(["/v1/user?page=2", "/v1/user"]);
    expect(JSON.stringify(egress.received)).not.toContain(placeholderOf(undefined, "acme"));
    expect(egress.received[0]?.headers).toMatchObject({ "x-api-key": canary, "x-own": "kept" });
  });

  it.each([
    ["in Basic as the user", `${placeholderOf(undefined, "acme")}:x-oauth-basic`, `${canary}:x-oauth-basic`],
    [
      "in Basic as the password",
      `x-access-token:${placeholderOf(undefined, "acme")}`,
      `x-access-token:${canary}`,
    ],
  ])("gets the credential where a placeholder stands %s", async (_, sent, expected) => {
    const authorization = `Basic ${Buffer.from(sent).toString("base64")}`;
    await egress.ask("/v1/repo.git", { version, headers: { authorization } });
    const [{ headers } = { headers: {} }] = egress.received;
    expect(headers).toMatchObject({ authorization: `Basic ${Buffer.from(expected).toString("base64")}` });
    await egress.ask("/v1/a", { version, headers: { authorization: "Basic bWluZTptaW5l" } });
    expect(egress.received[1]?.headers).not.toHaveProperty("authorization");
  });

  it.each([
    ["authorization", `Bearer ${placeholderOf(undefined, "acme")}`, `Bearer ${canary}`],
    ["x-api-key", placeholderOf(undefined, "acme"), canary],
    ["private-token", placeholderOf(undefined, "acme"), canary],
  ])(
    "gets the credential instead of a placeholder in %s, as its profile says",
    async (name, sent, expected) => {
      const [valuePrefix = ""] = /^Bearer /.exec(expected) ?? [];
      egress.acquired = [tokenIn({ case: "header", value: { headerName: name, valuePrefix } })];
      await egress.ask("/v1/a", { version, headers: { [name]: sent } });
      expect(egress.received[0]?.headers).toMatchObject({ [name]: expected });
    },
  );

  it("gets the credential instead of a placeholder in the query, as its profile says", async () => {
    egress.acquired = [tokenIn({ case: "queryParam", value: { paramName: "key" } })];
    await egress.ask(`/v1/a?key=${placeholderOf(undefined, "acme")}&page=2`, { version });
    const [{ path } = { path: "" }] = egress.received;
    expect(new URLSearchParams(path.split("?")[1])).toEqual(new URLSearchParams({ page: "2", key: canary }));
  });

  it("is sent once more with the next credential when the API refuses it, with its body", async () => {
    egress.acquired = [tokenOf("old"), tokenOf(canary, 2n)];
    egress.respond = ({ headers }, response) => {
      response.writeHead(headers["x-api-key"] === canary ? 200 : 401).end("answered");
    };
    const { status } = await egress.ask("/v1/repos", { version, method: "POST", body: "hello" });
    expect(status).toBe(200);
    expect(egress.received.map(({ body }) => body)).toEqual(["hello", "hello"]);
    const repeats = egress.acquiredFor.map((asked) => (asked as AcquireTokenRequest).request?.repeats);
    expect(repeats).toEqual([false, true]);
    expect(egress.reported).toMatchObject([{ revision: 1n, status: 401, name: { providerName: "acme" } }]);
  });

  it("is not sent again when the API refuses both, or its body was too long to keep", async () => {
    egress.respond = (_, response) => void response.writeHead(401).end("no");
    expect((await egress.ask("/v1/a", { version })).status).toBe(401);
    expect(egress.received.length).toBe(2);
    const body = Buffer.alloc(65 * 1024);
    expect((await egress.ask("/v1/b", { version, method: "PUT", body })).status).toBe(401);
    expect(egress.received.length).toBe(3);
  });

  it("streams the answer as it comes, and passes trailers", async () => {
    let release = (): void => undefined;
    egress.respond = (_, response) => {
      response.writeHead(200, { trailer: "grpc-status" }).write("first ");
      release = () => {
        response.addTrailers({ "grpc-status": "0" });
        response.end("last");
      };
    };
    const answer = egress.ask("/v1/stream", { version });
    await expect.poll(() => egress.received.length).toBe(1);
    release();
    expect(await answer).toMatchObject({ body: "first last", trailers: { "grpc-status": "0" } });
  });

  it.each([
    ["another host", "/v1/a", { headers: { host: "evil.example" } }, 421],
    ["TRACE", "/v1/a", { method: "TRACE" }, 405],
  ] as const)("is refused for %s, and reaches no API", async (_, path, asked, status) => {
    const given = version === 2 && "headers" in asked ? { headers: { ":authority": "evil.example" } } : asked;
    const { status: got, body } = await egress.ask(path, { version, ...given });
    expect(got).toBe(status);
    expect(JSON.parse(body)).toMatchObject({ status, type: expect.stringMatching(/^urn:nexusd:egress:/) });
    expect(egress.received).toEqual([]);
  });
});

describe("the credential of a proxy", () => {
  const field = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
  it.each([
    [field("ada:nxk_1"), { user: "ada", token: "nxk_1" }],
    [field("nxk_1:"), { user: "", token: "nxk_1" }],
    [field("nxk_1"), { user: "", token: "nxk_1" }],
    [field("nxk_1:nxk_2"), { user: "nxk_1", token: "nxk_2" }],
    [field("ada:"), { user: "ada", token: undefined }],
    ["Bearer nxk_1", { user: "", token: "nxk_1" }],
  ])("of %s is %j", (text, expected) => expect(proxyCredentials(text)).toEqual(expected));
});

describe("where the credential goes", () => {
  const egress = worldWith();

  it.each(["/v2/user", "/v1x"])("not with %s, which is not below the base path", async (path) => {
    await egress.ask(path);
    expect(egress.received[0]?.headers).not.toHaveProperty("x-api-key");
  });

  it.each(["/v1/../admin", "/v1/%2e%2e/admin", "/v1/..;/admin"])(
    "nowhere with %s, which leads out of the base path",
    async (path) => {
      const { status, body } = await egress.ask(path);
      expect([status, JSON.parse(body).type]).toEqual([400, "urn:nexusd:egress:unclear-request"]);
      expect(egress.received).toEqual([]);
    },
  );

  it("to all paths of a further host of the API", async () => {
    await egress.ask("/upload", { host: "up.localhost" });
    expect(egress.received[0]?.headers).toMatchObject({ "x-api-key": canary });
  });

  it("not into a tunnel to another host, which nobody looks into", async () => {
    const socket = await egress.tunnel(`other.localhost:${egress.port}`);
    socket.destroy();
    expect(egress.acquiredFor).toEqual([]);
  });

  it("not where TLS names another host than the tunnel", async () => {
    await expect(egress.tls("api.localhost", ["http/1.1"], "other.localhost")).rejects.toThrow();
  });

  it("not over http", async () => {
    const auth = `Basic ${Buffer.from(`nexusd:${egress.proxyUrl.password}`).toString("base64")}`;
    const target = `http://api.localhost:${egress.port}/v1/user`;
    const { port } = egress.proxyUrl;
    const sent = requestPlain({
      host: "127.0.0.1",
      port,
      path: target,
      headers: { "proxy-authorization": auth },
    }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(403);
    expect(await text(answer)).toContain("use https");
    expect(egress.received).toEqual([]);
  });

  it("to nobody without the password of the session", async () => {
    await expect(egress.tunnel(`api.localhost:${egress.port}`, "wrong")).rejects.toThrow(/^407/);
    // Without the challenge (RFC 9110 section 15.5.8) a browser asks its user for none.
    const plain = requestPlain(egress.proxyUrl.origin).end();
    const [{ statusCode, headers }] = (await once(plain, "response")) as [IncomingMessage];
    expect([statusCode, headers["proxy-authenticate"]]).toEqual([407, 'Basic realm="nexusd"']);
  });
});

describe("what a session allows", () => {
  const reading = worldWith({ methods: ["GET", "HEAD", "OPTIONS"] });
  const pathed = worldWith({ paths: ["/v1/user", "/v1/repos/*"] });
  const closed = worldWith({ network: "providers" });
  const listed = worldWith({ network: { hosts: ["*.localhost"] } });
  const shared = worldWith({
    providers: (port) => [
      { name: "other", apiBaseUrl: `https://api.localhost:${port}/v1` },
      { name: "deep", apiBaseUrl: `https://api.localhost:${port}/v1/deep` },
    ],
  });

  it("only calls the paths of --path", async () => {
    const statusOf = async (path: string): Promise<number> => (await pathed.ask(path)).status;
    expect(await Promise.all(["/v1/user", "/v1/repos/a"].map(statusOf))).toEqual([200, 200]);
    const others = ["/v1/users", "/v1/repos", "/v1/repos/%2e%2e/keys", "/v1/repos//a"];
    expect(await Promise.all(others.map(statusOf))).toEqual([403, 403, 400, 400]);
    expect(pathed.received.length).toBe(2);
  });

  it("only reads with --read-only", async () => {
    expect((await reading.ask("/v1/a", { method: "DELETE" })).status).toBe(403);
    const overridden = await reading.ask("/v1/a", { headers: { "x-http-method-override": "DELETE" } });
    expect([overridden.status, overridden.body]).toEqual([
      400,
      expect.stringContaining("changes the method"),
    ]);
    expect((await reading.ask("/v1/a")).status).toBe(200);
    expect(reading.received.map(({ method }) => method)).toEqual(["GET"]);
  });

  it("reaches no other host with --network providers, and those named with a list", async () => {
    await expect(closed.tunnel(`other.localhost:${closed.port}`)).rejects.toThrow(
      /^403.*belongs to no provider/s,
    );
    expect((await closed.ask("/v2")).status).toBe(403);
    (await listed.tunnel(`other.localhost:${listed.port}`)).destroy();
    await expect(listed.tunnel("example.com:443")).rejects.toThrow(/^403/);
  });

  it("says at which port a provider has a host", async () => {
    const there = `has api.localhost at port ${closed.port}, not at 444`;
    await expect(closed.tunnel("api.localhost:444")).rejects.toThrow(there);
  });

  it("names the providers that claim one place, and takes the longest base path", async () => {
    const { status, body } = await shared.ask("/v1/a");
    expect([status, JSON.parse(body).detail]).toEqual([403, expect.stringContaining("acme, other")]);
    await shared.ask("/v1/deep/a");
    expect(shared.acquiredFor).toMatchObject([{ providerName: "deep" }]);
  });
});

describe("when a person must act", () => {
  const egress = worldWith();
  const waiting = worldWith({ waitsForConsent: true });

  it("answers 403 with the link", async () => {
    egress.acquired = [consentOf("https://id.example/start?state=1")];
    const { status, body } = await egress.ask("/v1/a");
    expect(status).toBe(403);
    expect(JSON.parse(body)).toMatchObject({
      consent_url: "https://id.example/start?state=1",
      provider: "acme",
    });
    expect(egress.links).toEqual(["https://id.example/start?state=1"]);
  });

  it("holds the request with --wait-for-consent", async () => {
    waiting.acquired = [consentOf("https://id.example/start?state=1"), tokenOf(canary)];
    expect((await waiting.ask("/v1/a")).status).toBe(200);
    expect(waiting.acquiredFor).toMatchObject([{}, { wait: { seconds: 60n } }]);
  });
});

describe("a WebSocket", () => {
  const egress = worldWith();

  it("is opened with the credential, and passes both ways", async () => {
    const socket = await egress.tls("api.localhost", ["http/1.1"]);
    socket.write(
      `GET /v1/live HTTP/1.1\r\nhost: api.localhost:${egress.port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n`,
    );
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    await expect.poll(() => got).toMatch(/^HTTP\/1.1 101/);
    socket.write("ping");
    await expect.poll(() => got).toMatch(/\r\n\r\nping$/);
    socket.destroy();
  });
});

describe.each([
  ["is refused, and the answer says what to set", false, [502, "NODE_EXTRA_CA_CERTS"]],
  ["is believed where it is among the roots", true, [200, "ok"]],
] as const)("the certificate of a private CA", (what, isTrusted, [status, text]) => {
  const other = perTest(() => ApiStandIn.start({}, new Authority("a private CA")));
  const egress = perTest(() =>
    EgressWorld.start({
      ...(isTrusted && { roots: other.ca }),
      providers: () => [{ name: "deep", apiBaseUrl: `https://api.localhost:${other.port}/v1` }],
    }),
  );

  it.each([1, 2] as const)(`${what}, over HTTP/%i`, async (version) => {
    const client = new ProxyClient(egress.proxyUrl, egress.authority.pem, other.port);
    const answer = await client.ask("/v1/user", { version });
    expect([answer.status, answer.body]).toEqual([status, expect.stringContaining(text)]);
    expect(other.received.length).toBe(isTrusted ? 1 : 0);
  });
});

describe("the names of TLS", () => {
  const egress = worldWith({
    providers: (port) => [{ name: "deep", apiBaseUrl: `https://impostor.localhost:${port}` }],
  });

  it("send nothing to an API that does not prove to be the host of the provider", async () => {
    const { status, body } = await egress.ask("/", { host: "impostor.localhost" });
    expect([status, body]).toEqual([502, expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID")]);
    expect(egress.received).toEqual([]);
  });

  it("end a tunnel whose client names another host than it asked for", async () => {
    const socket = await egress.tunnel(`api.localhost:${egress.port}`);
    const tls = connectTls({ socket, servername: "up.localhost", rejectUnauthorized: false });
    const ended = await once(tls, "secureConnect").then(
      () => "open",
      () => "ended",
    );
    expect(ended).toBe("ended");
  });
});
