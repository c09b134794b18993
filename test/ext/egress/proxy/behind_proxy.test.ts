import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { readExceptions, readWebProxy, type WebProxy } from "../../../../src/outbound/web_proxy.js";
import { FakeWebProxy } from "../../../fakes/web_proxy.js";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld } from "./egress_world.js";

describe("a session behind the proxy of a company", () => {
  const credentials = "ada:s3cret-of-proxy";
  const corp = perTest(() => FakeWebProxy.start({ credentials }));
  const egress = perTest(() => {
    const proxy = readWebProxy(corp.url) as WebProxy;
    const proxies = { https: proxy, http: proxy, exceptions: readExceptions("direct.localhost") };
    const providers = (port: number) => [
      { name: "deep", apiBaseUrl: "", apiHosts: [`api.corp.test:${port}`, `gone.corp.test:${port}`] },
    ];
    return EgressWorld.start({ proxies, providers });
  });

  it.each([1, 2] as const)("reaches an API by a tunnel, over HTTP/%i", async (version) => {
    const { status, body } = await egress.ask("/v1/user", { version, host: "api.corp.test" });
    expect([status, body]).toEqual([200, "ok"]);
    expect(egress.received).toMatchObject([{ path: "/v1/user", headers: { "x-api-key": canary } }]);
    expect(new Set(corp.asked)).toEqual(new Set([`CONNECT api.corp.test:${egress.port}`]));
    expect(JSON.stringify(egress.received)).not.toContain("proxy-authorization");
  });

  it("says what to do where the proxy does not let it through", async () => {
    corp.refusal = 403;
    const { status, body } = await egress.ask("/v1/user", { host: "api.corp.test" });
    expect([status, body]).toEqual([502, expect.stringContaining("NO_PROXY")]);
    await expect(egress.tunnel("foreign.example:443")).rejects.toThrow(/502 .*NO_PROXY/);
    expect(body).not.toContain("s3cret");
  });

  it("passes tunnels to other hosts on, and plain http as it is", async () => {
    const server = createServer((asked, response) => response.end(`${asked.method} ${asked.url}`));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const socket = await egress.tunnel(`other.example:${port}`);
    socket.write("GET /tunnel HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    expect(await text(socket)).toContain("GET /tunnel");
    const { username, password, port: own } = egress.proxyUrl;
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const url = `http://other.example:${port}/plain`;
    const headers = { "proxy-authorization": `Basic ${basic}` };
    const [answer] = await once(
      request({ host: "127.0.0.1", port: own, path: url, headers }).end(),
      "response",
    );
    expect(await text(answer)).toBe("GET /plain");
    expect(corp.asked).toEqual([`CONNECT other.example:${port}`, `GET ${url}`]);
    server.close();
  });
});
