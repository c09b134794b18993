import { describe, expect, it, test } from "vitest";
import {
  fetchResourceMetadata,
  isResourceOf,
  ResourceMetadataRejected,
  resourceMetadataUrls,
} from "../../../src/ext/mcp_servers/protected_resource_metadata.js";
import {
  createOutboundFetch,
  OutboundError,
  type OutboundFetch,
} from "../../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { json, type Script, startScriptedServer } from "../../oauth/scripted_server.js";

test.each([
  [
    "https://a.example/mcp",
    [
      "https://a.example/.well-known/oauth-protected-resource/mcp",
      "https://a.example/.well-known/oauth-protected-resource",
    ],
  ],
  ["https://a.example", ["https://a.example/.well-known/oauth-protected-resource"]],
  [
    "https://a.example/mcp?t=1",
    [
      "https://a.example/.well-known/oauth-protected-resource/mcp?t=1",
      "https://a.example/.well-known/oauth-protected-resource",
    ],
  ],
])("the metadata of %s is looked for at %j", (url, urls) => {
  expect(resourceMetadataUrls(url)).toEqual(urls);
});

test.each([
  ["https://a.example/mcp", true],
  ["https://a.example/mcp/", true],
  ["https://a.example", true],
  ["https://a.example/", true],
  ["HTTPS://A.example/mcp", true],
  ["https://a.example/mc", false],
  ["https://a.example/mcp/tools", false],
  ["https://a.example/other", false],
  ["https://evil.example/mcp", false],
  ["https://a.example.evil.example/mcp", false],
  ["http://a.example/mcp", false],
  ["https://a.example:8443/mcp", false],
  ["https://user@a.example/mcp", false],
  ["https://a.example/mcp?x=1", false],
  ["https://a.example/mcp#x", false],
  ["mcp", false],
  ["", false],
])("%j is a resource of https://a.example/mcp: %s", (resource, is) => {
  expect(isResourceOf(resource, "https://a.example/mcp")).toBe(is);
});

describe("the metadata of a server", () => {
  const server = perTest(() => startScriptedServer());
  const fetch = createOutboundFetch({ networks: loopbackNetworks });
  const mcp = () => `${server.origin}/mcp`;
  const paths = () => server.requests.map(({ path }) => path);
  const wellKnown = "/.well-known/oauth-protected-resource";

  /** A document at one path. */
  const at =
    (place: string, document: () => unknown, other: Script = json({}, 404)): Script =>
    (response, request) =>
      (request.path === place ? json(document()) : other)(response, request);

  it("is the document at the well-known URL with the path, read with care", async () => {
    server.script = at(`${wellKnown}/mcp`, () => ({
      resource: mcp(),
      resource_name: "Acme",
      authorization_servers: [
        "https://login.example",
        7,
        "https://login.example",
        "http://elsewhere.example",
      ],
      scopes_supported: ["read", "two words", "read", {}, "write"],
    }));
    expect(await fetchResourceMetadata(mcp(), undefined, fetch)).toEqual({
      resource: mcp(),
      authorizationServers: ["https://login.example"],
      scopes: ["read", "write"],
      name: "Acme",
    });
    expect(paths()).toEqual([`${wellKnown}/mcp`]);
  });

  it("is that at the root where there is no other", async () => {
    server.script = at(wellKnown, () => ({ resource: server.origin }));
    expect(await fetchResourceMetadata(mcp(), undefined, fetch)).toEqual({
      resource: server.origin,
      authorizationServers: [],
      scopes: undefined,
      name: "",
    });
    expect(paths()).toEqual([`${wellKnown}/mcp`, wellKnown]);
  });

  it("is only looked for where the server says it is", async () => {
    server.script = at("/custom", () => ({ resource: mcp() }));
    const found = await fetchResourceMetadata(mcp(), `${server.origin}/custom`, fetch);
    expect(found?.resource).toBe(mcp());
    expect(paths()).toEqual(["/custom"]);
    await expect(fetchResourceMetadata(mcp(), `${server.origin}/gone`, fetch)).rejects.toThrow(
      "HTTP status 404",
    );
  });

  it("is none where none is published", async () => {
    server.script = json({}, 404);
    expect(await fetchResourceMetadata(mcp(), undefined, fetch)).toBeUndefined();
    server.script = json("<html>", 200);
    expect(await fetchResourceMetadata(mcp(), undefined, fetch)).toBeUndefined();
  });

  it.each<[name: string, document: object]>([
    ["another resource", { resource: "https://evil.example/mcp" }],
    ["no resource", { authorization_servers: ["https://login.example"] }],
    [
      "no authorization server that may be asked",
      { authorization_servers: ["javascript:0", "http://a.example"] },
    ],
  ])("is refused when it names %s", async (_name, document) => {
    server.script = at(`${wellKnown}/mcp`, () =>
      "resource" in document || !JSON.stringify(document).includes("javascript")
        ? document
        : { resource: mcp(), ...document },
    );
    await expect(fetchResourceMetadata(mcp(), undefined, fetch)).rejects.toThrow(ResourceMetadataRejected);
    expect(paths()).toEqual([`${wellKnown}/mcp`]);
  });

  it("is not looked for elsewhere while the server fails", async () => {
    server.script = json({}, 503);
    await expect(fetchResourceMetadata(mcp(), undefined, fetch)).rejects.toThrow("HTTP status 503");
    expect(paths()).toEqual([`${wellKnown}/mcp`]);
  });

  it("is not followed to another place, and not read without end", async () => {
    server.script = json("", 302, { location: "/elsewhere" });
    await expect(fetchResourceMetadata(mcp(), undefined, fetch)).rejects.toThrow(OutboundError);
    expect(paths()).toEqual([`${wellKnown}/mcp`]);
    server.script = json({ resource: mcp(), pad: "a".repeat(70_000) });
    await expect(fetchResourceMetadata(mcp(), undefined, fetch)).rejects.toMatchObject({
      reason: "too_large",
    });
  });
});

describe("a server elsewhere", () => {
  const mcp = "https://mcp.example/mcp";
  const never: OutboundFetch = () => Promise.reject(new Error("asked"));

  it.each([
    "http://127.0.0.1:9/x",
    "https://127.0.0.1/x",
    "https://localhost/x",
    "http://other.example/x",
    "file:///etc/passwd",
    "https://user@other.example/x",
    "https://other.example/x#y",
    "/.well-known/oauth-protected-resource",
    "",
  ])("cannot send the daemon to %s for its metadata", async (place) => {
    await expect(fetchResourceMetadata(mcp, place, never)).rejects.toThrow("that is not https");
  });

  it("cannot name an authorization server on this machine", async () => {
    const document = { resource: mcp, authorization_servers: ["http://127.0.0.1:9", "https://localhost"] };
    const fetch: OutboundFetch = async () => ({
      status: 200,
      headers: new Headers(),
      text: async () => JSON.stringify(document),
    });
    await expect(fetchResourceMetadata(mcp, undefined, fetch)).rejects.toThrow("no authorization server");
  });
});
