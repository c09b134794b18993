import { beforeEach, describe, expect, it } from "vitest";
import { McpDiscovery } from "../../../src/ext/mcp_servers/mcp_discovery.js";
import { Unavailable } from "../../../src/model/errors.js";
import type { AuthorizationServer } from "../../../src/oauth/authorization_server.js";
import type { OutboundFetch } from "../../../src/outbound/outbound_fetch.js";

const mcpServerUrl = "https://mcp.example/mcp";
const own = "https://own.example";
const other = "https://other.example";

describe("McpDiscovery of a server that a client is registered for", () => {
  let metadata: { readonly status: number; readonly servers: readonly string[] };
  let down: readonly string[];
  let lookedUp: string[];

  const outbound = (async (url: string) => {
    if (url === mcpServerUrl) return new Response("{}", { status: 401 });
    const { status, servers } = metadata;
    return new Response(JSON.stringify({ resource: mcpServerUrl, authorization_servers: servers }), {
      status,
    });
  }) as unknown as OutboundFetch;
  const lookUp = async (issuer: string) => {
    lookedUp.push(issuer);
    if (down.includes(issuer)) throw new Unavailable(`${issuer} is down`);
    return { issuer, announced: { scopes: [] } } as unknown as AuthorizationServer;
  };
  const issuer = async (preferred?: string) => {
    const discovery = new McpDiscovery({ servers: { lookUp }, outbound });
    return (await discovery.discover(mcpServerUrl, preferred)).server.issuer;
  };

  beforeEach(() => {
    metadata = { status: 200, servers: [other, own] };
    down = [];
    lookedUp = [];
  });

  it("waits for its authorization server while that is down, and does not move to the next one", async () => {
    down = [own];
    await expect(issuer(own)).rejects.toThrow("is down");
    expect(lookedUp).toEqual([own]);
    down = [other];
    expect(await issuer()).toBe(own);
  });

  it.each([404, 401, 200])(
    "stays where it is when nothing is named any more (HTTP status %i)",
    async (status) => {
      metadata = { status, servers: [] };
      expect(await issuer(own)).toBe(own);
      expect(await issuer(new URL(mcpServerUrl).origin)).toBe(new URL(mcpServerUrl).origin);
    },
  );

  it("takes a server that is asked too often for none that publishes nothing", async () => {
    metadata = { status: 429, servers: [] };
    await expect(issuer()).rejects.toThrow("HTTP status 429");
    expect(lookedUp).toEqual([]);
  });

  it("follows it where another one is named alone", async () => {
    metadata = { status: 200, servers: [other] };
    expect(await issuer(own)).toBe(other);
  });
});
