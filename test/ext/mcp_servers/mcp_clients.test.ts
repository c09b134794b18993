import { describe, expect, test } from "vitest";
import { McpClients } from "../../../src/ext/mcp_servers/mcp_clients.js";
import {
  type DiscoveredMcpServer,
  unpublishedAuthorizationServer,
} from "../../../src/ext/mcp_servers/mcp_discovery.js";
import { Unavailable } from "../../../src/model/errors.js";
import { createOutboundFetch } from "../../../src/outbound/outbound_fetch.js";
import { Engine } from "../../domain/engine.js";
import { loopbackNetworks } from "../../fakes/loopback_networks.js";
import { perTest } from "../../lifetimes.js";
import { json, startScriptedServer } from "../../oauth/scripted_server.js";
import { nowMs, sealed } from "../../samples.js";
import { silentLog } from "../../silent_log.js";

const engine = perTest(() => new Engine());

test("a client whose access token cannot be opened is left where it is: its profile is gone all the same", async () => {
  const asked: string[] = [];
  const outbound = (url: string): Promise<never> => {
    asked.push(url);
    return Promise.reject(new Error("nothing is to be sent"));
  };
  const { vault, clock } = engine;
  const clients = new McpClients({
    vault,
    clock,
    outbound,
    log: silentLog,
    publicUrl: "https://nexus.example",
  });
  const registration = {
    kind: "dynamic",
    issuer: "https://as.example",
    registeredAtMs: nowMs,
    secretExpiresAtMs: undefined,
    configurationUrl: "https://as.example/clients/1",
    accessToken: sealed("of another key"),
  } as const;
  await clients.forget("p1", registration);
  expect(asked).toEqual([]);
});

describe("a server that does not register a client", () => {
  const server = perTest(() => startScriptedServer());
  const clientAt = () => {
    const { vault, clock } = engine;
    const outbound = createOutboundFetch({ networks: loopbackNetworks });
    const clients = new McpClients({ vault, clock, outbound, log: silentLog, publicUrl: "http://localhost" });
    const discovered: DiscoveredMcpServer = {
      ...{ mcpServerUrl: "https://mcp.example/mcp", resource: "", scopes: [], name: "" },
      server: unpublishedAuthorizationServer(server.origin),
    };
    return clients.clientAt(discovered, { id: "p", redirectPath: "/auth/callback/a" }, undefined);
  };

  test.each([
    [429, { "retry-after": "7" }, 7_000],
    [429, {}, 5_000],
    [500, {}, 5_000],
    [503, { "retry-after": "30" }, 30_000],
  ])("is asked again later: %i %j", async (status, headers, retryAfterMs) => {
    server.script = json({ error: "slow_down" }, status, headers);
    const failure = await clientAt().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Unavailable);
    expect(failure).toMatchObject({
      retryAfterMs,
      message: expect.stringContaining(`HTTP status ${status}`),
    });
  });

  test.each([400, 403, 404, 501])("needs a person who does: %i", async (status) => {
    server.script = json({}, status);
    await expect(clientAt()).rejects.toMatchObject({ reason: "CLIENT_REGISTRATION_REQUIRED" });
  });

  test("is asked again where it cannot be reached", async () => {
    await server.close();
    await expect(clientAt()).rejects.toMatchObject({ kind: "unavailable", retryAfterMs: 5_000 });
  });
});
