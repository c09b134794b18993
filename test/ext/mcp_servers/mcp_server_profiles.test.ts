import { beforeEach, describe, expect, it, test } from "vitest";
import type { ProfileClient } from "../../../src/ext/mcp_servers/mcp_clients.js";
import { McpServerProfiles, nameOfMcpServer } from "../../../src/ext/mcp_servers/mcp_server_profiles.js";
import { Aborted, Unavailable } from "../../../src/model/errors.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { aProfile, nowMs } from "../../samples.js";
import { silentLog } from "../../silent_log.js";

const issuer = "https://as.example";
const registration = {
  kind: "dynamic",
  issuer,
  registeredAtMs: 1,
  secretExpiresAtMs: undefined,
  configurationUrl: undefined,
  accessToken: undefined,
} as const;

describe("McpServerProfiles", () => {
  let clock: ManualClock;
  let profile: ProviderProfile;
  let servers: McpServerProfiles;
  let lookUps: number;
  let down: boolean;
  let refusedVersion: bigint | undefined;
  let registered: string[];
  let forgotten: number;
  let updateFails: boolean;
  let unconfirmed: boolean;
  let connections: number;
  let turnedAway: readonly string[];

  beforeEach(() => {
    clock = new ManualClock(nowMs);
    profile = aProfile({
      id: "p",
      mcpServerUrl: "https://mcp.example/mcp",
      issuer,
      registration,
      version: 3n,
    });
    [lookUps, forgotten, registered, down, updateFails, refusedVersion] = [0, 0, [], false, false, undefined];
    [unconfirmed, connections, turnedAway] = [false, 2, []];
    const isTurnedAway = async (_server: object, _profile: object, clientId: string) =>
      turnedAway.includes(clientId);
    const discover = async () => {
      lookUps++;
      clock.advance(1_000);
      if (down) throw new Unavailable("down");
      const server = { issuer, announced: { scopes: [] } };
      return { mcpServerUrl: profile.mcpServerUrl, resource: "", scopes: [], name: "", server };
    };
    const clientAt = async (): Promise<ProfileClient> => {
      registered.push(`c${registered.length + 1}`);
      const clientId = registered.at(-1) ?? "";
      return { clientId, clientSecret: undefined, method: "none", registration };
    };
    const update = async (_id: string, change: { settings: object }) => {
      if (updateFails) throw new Aborted("changed");
      profile = { ...profile, ...change.settings, version: profile.version + 1n };
      return { profile, partedConnections: 0 };
    };
    const suspension = () =>
      refusedVersion === undefined
        ? undefined
        : { providerId: "p", profileVersion: refusedVersion, unconfirmed };
    servers = new McpServerProfiles({
      store: { getProvider: () => profile, getSuspension: suspension, countConnections: () => connections },
      registry: { update },
      discovery: { discover },
      clients: {
        ...{ clientAt, isTurnedAway, reread: async () => "unknown" },
        forget: async () => void forgotten++,
      },
      clock,
      log: silentLog,
    } as unknown as ConstructorParameters<typeof McpServerProfiles>[0]);
  });

  it.each([false, true])("looks up twice for all who report at once, down: %s", async (isDown) => {
    down = isDown;
    await Promise.all(Array.from({ length: 50 }, () => servers.followed(profile, "token_refused")));
    expect(lookUps).toBe(2);
  });

  it("registers another client once where the first is refused", async () => {
    refusedVersion = 2n;
    await servers.followed(profile, "consent_requested");
    expect(registered).toEqual([]);
    refusedVersion = profile.version;
    clock.advance(120_000);
    await servers.followed(profile, "consent_requested");
    clock.advance(120_000);
    await servers.followed(profile, "consent_requested");
    expect(registered).toEqual(["c1"]);
    expect(profile.clientId).toBe("c1");
  });

  it("takes no client from others because one connection was refused", async () => {
    refusedVersion = profile.version;
    unconfirmed = true;
    await servers.followed(profile, "consent_requested");
    expect(registered).toEqual([]);
    connections = 1;
    clock.advance(120_000);
    await servers.followed(profile, "consent_requested");
    expect(registered).toEqual(["c1"]);
  });

  it("asks the authorization endpoint where one connection of several was refused", async () => {
    [refusedVersion, unconfirmed, turnedAway] = [profile.version, true, [profile.clientId, "c1"]];
    await servers.followed(profile, "consent_requested");
    expect([registered, profile.version, forgotten]).toEqual([["c1"], 3n, 1]);
    clock.advance(120_000);
    await servers.followed(profile, "consent_requested");
    expect(registered).toEqual(["c1"]);
  });

  it("registers another client where the authorization endpoint does not know the first", async () => {
    [refusedVersion, unconfirmed, turnedAway] = [profile.version, true, [profile.clientId]];
    await servers.followed(profile, "consent_requested");
    expect(profile.clientId).toBe("c1");
  });

  it("leaves no client behind that the profile does not come to hold", async () => {
    refusedVersion = profile.version;
    updateFails = true;
    await servers.followed(profile, "consent_requested");
    expect([registered.length, forgotten]).toEqual([1, 1]);
  });
});

test.each([
  ["https://mcp.example.com/mcp", "mcp-example-com"],
  ["http://localhost:3000/mcp", "localhost-3000"],
  ["http://[::1]/mcp", "1"],
  [`https://${"a".repeat(54)}.${"b".repeat(20)}.example/`, "a".repeat(54)],
  ["https://xn--bcher-kva.example", "xn-bcher-kva-example"],
])("the profile of %s is called %s", (url, name) => {
  expect(nameOfMcpServer(url)).toBe(name);
});
