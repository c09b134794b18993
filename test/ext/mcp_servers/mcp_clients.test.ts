import { expect, test } from "vitest";
import { McpClients } from "../../../src/ext/mcp_servers/mcp_clients.js";
import { Engine } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";
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
