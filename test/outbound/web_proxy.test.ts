import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { networkWords } from "../../src/outbound/network_words.js";
import { createOutboundFetch, type OutboundError } from "../../src/outbound/outbound_fetch.js";
import {
  noWebProxies,
  readExceptions,
  readWebProxy,
  type WebProxy,
  webProxyFor,
} from "../../src/outbound/web_proxy.js";
import { FakeWebProxy } from "../fakes/web_proxy.js";
import { perTest } from "../lifetimes.js";

describe("the URL of a proxy", () => {
  it.each([
    ["http://proxy.corp:3128", { host: "proxy.corp", port: 3128, isSecure: false }],
    ["https://Proxy.Corp.", { host: "proxy.corp", port: 443, isSecure: true }],
    ["proxy.corp:3128/", { host: "proxy.corp", port: 3128, isSecure: false }],
    ["http://[fd00::1]:8080", { host: "fd00::1", port: 8080, isSecure: false }],
  ])("is read: %s", (text, expected) => {
    expect(readWebProxy(text)).toEqual({ ...expected, authorization: undefined });
  });

  it("may have a user and a password, which are shown nowhere", () => {
    const proxy = readWebProxy("http://ada:p%40ss%3A@proxy.corp:3128") as WebProxy;
    expect(proxy.authorization?.reveal()).toBe(`Basic ${Buffer.from("ada:p@ss:").toString("base64")}`);
    expect(`${inspect(proxy)} ${JSON.stringify(proxy)}`).not.toMatch(/p@ss|cEBzc|YWRhO/);
  });

  it.each([
    "socks5://proxy:1080",
    "http://",
    "http://proxy/path",
    "http://proxy?x=1",
    "http://a:%zz@proxy",
    "ftp://x",
  ])("is refused: %s", (text) => {
    expect(readWebProxy(text)).toHaveProperty("violation");
  });
});

describe("a destination", () => {
  const https = readWebProxy("http://proxy.corp:3128") as WebProxy;
  const wayTo = (host: string, exceptions = "", port = 443) =>
    webProxyFor("https", { host, port }, { ...noWebProxies, https, exceptions: readExceptions(exceptions) });

  it.each([
    ["api.example.com", ""],
    ["api.example.com", "example.org, ample.com"],
    ["api.example.com", "10.0.0.0/8,.api.example.com.evil"],
    ["api.example.com", "example.com:8443"],
    ["192.0.2.7", "10.0.0.0/8"],
  ])("is reached by the proxy: %s, without %j", (host, exceptions) => {
    expect(wayTo(host, exceptions)).toBe(https);
  });

  it.each([
    ["localhost", ""],
    ["a.localhost", ""],
    ["127.9.9.9", ""],
    ["::1", ""],
    ["api.example.com", "*"],
    ["api.example.com", "example.com"],
    ["api.example.com", " .Example.com ,x"],
    ["api.example.com", "*.example.com"],
    ["api.example.com", "api.example.com:443"],
    ["10.1.2.3", "10.0.0.0/8"],
    ["10.1.2.3", "10.1.2.3"],
    ["fd00::7", "fd00::/8"],
    ["fd00::7", "[fd00::7]:443"],
  ])("is reached directly: %s, without %j", (host, exceptions) => {
    expect(wayTo(host, exceptions)).toBeUndefined();
  });

  it("has no proxy that is for the other scheme", () => {
    const settings = { ...noWebProxies, https };
    expect(webProxyFor("http", { host: "example.com", port: 80 }, settings)).toBeUndefined();
  });
});

describe("a request to a provider behind a proxy", () => {
  const proxy = perTest(() => FakeWebProxy.start({ credentials: "ada:s3cret-of-proxy" }));
  const failureOf = async (url: string, httpsProxy = proxy.url): Promise<OutboundError> => {
    const proxies = { ...noWebProxies, https: readWebProxy(httpsProxy) as WebProxy };
    const resolved: string[] = [];
    const lookup = async (host: string) => {
      resolved.push(host);
      return [];
    };
    const fetch = createOutboundFetch({ proxies, lookup, timeoutMs: 5_000 });
    const error = await fetch(url, { method: "GET", headers: {} }).then(
      () => Promise.reject(new Error("answered")),
      (failed) => failed as OutboundError,
    );
    expect(resolved).toEqual([]);
    expect(`${inspect(error)} ${networkWords(error).words}`).not.toContain("s3cret");
    return error;
  };

  it("is sent by a tunnel to the name as it is written, and resolves nothing", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    // The server at the other end speaks no TLS.
    expect(await failureOf(`https://idp.corp.test:${port}/token`)).toMatchObject({ phase: "before_send" });
    expect(proxy.asked).toEqual([`CONNECT idp.corp.test:${port}`]);
    server.close();
  });

  it.each([
    ["https://10.0.0.1/token", "private"],
    ["https://169.254.169.254/token", "metadata"],
    ["https://[::ffff:a9fe:a9fe]/token", "metadata"],
    ["https://metadata.google.internal/token", "metadata"],
    ["https://localhost/token", "loopback"],
  ])("is refused where the URL itself leads into a private network: %s", async (url, kind) => {
    expect(await failureOf(url)).toMatchObject({ reason: "forbidden_address", refusal: { kind } });
    expect(proxy.asked).toEqual([]);
  });

  it("says what the proxy wants, and what to do", async () => {
    const wrong = await failureOf(
      "https://idp.corp.test/",
      proxy.url.replace("s3cret-of-proxy", "s3cret-other"),
    );
    expect(wrong).toMatchObject({ reason: "network", phase: "before_send", code: "PROXY_AUTHENTICATION" });
    expect(networkWords(wrong).words).toContain("user and password");
    proxy.refusal = 403;
    const refused = await failureOf("https://idp.corp.test/");
    expect(networkWords(refused).words).toContain("NO_PROXY (PROXY_REFUSED)");
    const away = await failureOf("https://idp.corp.test/", "http://127.0.0.1:1");
    expect(networkWords(away).words).toContain("check HTTPS_PROXY");
  });
});
