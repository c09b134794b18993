import { rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { WatchTokensResponse } from "../../../../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { consented, registered, registeredAt, requestOf } from "../../../daemon/requests.js";
import { Browser } from "../../../fakes/browser.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { needs } from "../../../needs.js";
import { sweptFolder } from "../../../run_folder.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type HubProcess, Hubs, shortLease } from "./hubs.js";

describe("a backup", () => {
  it("a backup of a hub becomes the fleet's store again, and every hub copies it", async (context) => {
    needs(context, "postgresql");
    const hubs = await Hubs.start({ count: 2 });
    try {
      const leader = await hubs.leader();
      const strategy = {
        kind: { case: "header" as const, value: { headerName: "X-Key", credentialField: "key" } },
      };
      const providerId = await registered(leader.clients, {
        name: "acme",
        authType: AuthType.HEADER,
        strategy,
      });
      const imported = async (userId: string): Promise<string> => {
        const request = { userId, providerId, credentials: { key: `of-${userId}` } };
        return (await leader.clients.connections.importConnection(request)).connection?.id ?? "";
      };
      const ada = await imported("ada");
      const backup = join(temporaryFolder(), "nexus.backup");
      await hubs.command("backup", backup);
      const bob = await imported("bob");

      await Promise.all(hubs.all.map(({ daemon }) => daemon.kill("SIGTERM")));
      await hubs.postgres.query("DROP SCHEMA nexus CASCADE");
      const folder = sweptFolder();
      const alone = { ...hubs.all[0]?.environment, NEXUS_DATA_DIR: folder };
      for (const args of [
        ["restore", backup],
        ["fleet", "init", "--from", folder],
      ]) {
        const command = new DaemonProcess(alone, args);
        expect([await command.exited, command.output]).toEqual([0, expect.anything()]);
      }
      await Promise.all(hubs.all.map((hub) => hub.start()));
      await hubs.leader();

      for (const { clients, daemon } of hubs.all) {
        expect(daemon.output).toContain(
          "newer tokens of what the database lost are left for the hub that leads",
        );
        const { token } = await clients.tokens.getToken({ connectionId: ada });
        expect(token?.credentials).toEqual({ key: "of-ada" });
        const listed = (await clients.connections.listConnections({})).connections.map(({ id }) => id);
        expect(listed).not.toContain(bob);
      }
    } finally {
      await hubs.close();
    }
  }, 120_000);
});

describe("a database that is away", () => {
  it("a hub starts from its copy while the database is away, and is unready when that was silent for too long", async (context) => {
    needs(context, "postgresql");
    const hubs = await Hubs.start({ count: 1, environment: { NEXUS_MAX_STALE_SECONDS: "15" } });
    try {
      const hub = await hubs.leader();
      await registered(hub.clients, {
        name: "acme",
        authType: 2,
        credentialSchema: {
          type: "object",
          required: ["api_key"],
          properties: { api_key: { type: "string" } },
        },
      } as never);
      await hub.daemon.kill("SIGTERM");
      hubs.postgres.kill();
      await hub.start();
      const { providers } = await hub.clients.providers.listProviders({});
      expect(providers.map(({ name }) => name)).toEqual(["acme"]);
      const readiness = async () => (await fetch(`${hub.opsUrl}/readyz`)).json();
      expect(await readiness()).toMatchObject({ ready: true });
      await expect.poll(readiness, { timeout: 40_000 }).toMatchObject({
        ready: false,
        checks: { following: expect.stringContaining("has not answered for") },
      });
      await hubs.postgres.start();
      await hubs.leader();
      await expect.poll(readiness, { timeout: 20_000 }).toMatchObject({ ready: true });
    } finally {
      await hubs.close();
    }
  }, 120_000);
});

describe("a database that lost commits", () => {
  const keyed = (name: string) =>
    ({
      name,
      authType: 2,
      credentialSchema: {
        type: "object",
        required: ["api_key"],
        properties: { api_key: { type: "string" } },
      },
    }) as never;

  const namesAt = async ({ clients }: HubProcess): Promise<string[]> =>
    (await clients.providers.listProviders({})).providers.map(({ name }) => name);

  const tokenOf = async ({ tokens }: HubProcess["clients"], connectionId: string) =>
    (await tokens.getToken({ connectionId })).token;

  /** Refreshes until the token is newer: a leader that has just heard of its database again may not send for a moment. */
  const refreshedPast = async (clients: HubProcess["clients"], connectionId: string, revision: bigint) =>
    await expect
      .poll(
        async () => {
          await clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
          return (await tokenOf(clients, connectionId))?.revision ?? 0n;
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toBeGreaterThan(revision);

  /** Where a watcher of everything stands, once it has heard all. */
  async function bookmarkAt({ clients }: HubProcess): Promise<WatchTokensResponse> {
    const ending = new AbortController();
    for await (const event of clients.tokens.watchTokens({}, { signal: ending.signal })) {
      if (event.event.case !== "bookmark") continue;
      ending.abort();
      return event;
    }
    throw new Error("the stream ended");
  }

  it("hubs whose database lost what they have undo it, once for all, and begin another epoch", async (context) => {
    needs(context, "postgresql");
    const hubs = await Hubs.start({ count: 2, environment: shortLease });
    try {
      const { postgres } = hubs;
      await registered((await hubs.leader()).clients, keyed("kept"));
      postgres.kill();
      const kept = postgres.saved();
      await postgres.start();
      await registered((await hubs.leader()).clients, keyed("lost"));
      for (const hub of hubs.all) await expect.poll(() => namesAt(hub)).toEqual(["kept", "lost"]);
      const before = await bookmarkAt(hubs.all[0] as HubProcess);

      postgres.kill();
      postgres.restore(kept);
      await postgres.start();

      expect(await Promise.all(hubs.all.map(({ daemon }) => daemon.exited))).toEqual([75, 75]);
      for (const hub of hubs.all) await hub.start();
      const leader = await hubs.leader();
      await registered(leader.clients, keyed("later"));
      for (const hub of hubs.all) await expect.poll(() => namesAt(hub)).toEqual(["kept", "later"]);
      const [one, other] = hubs.all as [HubProcess, HubProcess];
      const positionAt = async (hub: HubProcess) => (await bookmarkAt(hub)).event.value;
      // Of two copies of which one may just have got what was written since.
      await expect
        .poll(async () => isDeepStrictEqual(await positionAt(one), await positionAt(other)))
        .toBe(true);
      expect(await positionAt(one)).not.toMatchObject({ position: { epoch: epochOf(before) } });
    } finally {
      await hubs.close();
    }
  }, 300_000);

  it("hubs bring home tokens that the database lost: a provider that rotates them is asked with the newest", async (context) => {
    needs(context, "postgresql");
    const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3_600 });
    const hubs = await Hubs.start({ count: 2, environment: shortLease });
    try {
      const { postgres } = hubs;
      const first = await hubs.leader();
      await hubs.balance(first);
      await registeredAt(provider, first.clients);
      const connectionId = await consented(first.clients, requestOf("op"), new Browser());
      const tokenAt = async ({ clients }: HubProcess) =>
        (await clients.tokens.getToken({ connectionId })).token;
      // Wanted until it comes: a leader that has just heard of its database again may not send for a moment.
      const refreshedTo = (revision: bigint, { tokens }: HubProcess["clients"]) =>
        expect
          .poll(
            async () => {
              const { token } = await tokens.getToken({ connectionId });
              if (token && token.revision < revision)
                await tokens.refreshToken({ connectionId }).catch(() => undefined);
              return token?.revision;
            },
            { timeout: 60_000 },
          )
          .toBe(revision);
      postgres.kill();
      const kept = postgres.saved();
      await postgres.start();
      const { clients } = await hubs.leader();
      await refreshedTo(3n, clients);
      for (const hub of hubs.all) await expect.poll(async () => (await tokenAt(hub))?.revision).toBe(3n);
      const newest = (await tokenAt(hubs.all[0] as HubProcess))?.credentials;

      postgres.kill();
      postgres.restore(kept);
      await postgres.start();

      await Promise.all(hubs.all.map(({ daemon }) => daemon.exited));
      for (const hub of hubs.all) await hub.start();
      for (const hub of hubs.all)
        await expect
          .poll(() => tokenAt(hub), { timeout: 60_000 })
          .toMatchObject({ revision: 3n, credentials: newest });
      const next = await hubs.leader();
      await refreshedTo(4n, next.clients);
      expect(await postgres.query("SELECT digest FROM nexus.spool")).toEqual([]);
    } finally {
      await hubs.close();
      await provider.stop();
    }
  }, 300_000);

  it("a first hub without a copy waits for the others after `nexusd fleet restored`, and no grant of 25 is lost", async (context) => {
    needs(context, "postgresql");
    const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3_600 });
    const hubs = await Hubs.start({ count: 2, environment: shortLease });
    try {
      const { postgres } = hubs;
      const [one, other] = hubs.all as [HubProcess, HubProcess];
      const first = await hubs.leader();
      await hubs.balance(first);
      await registeredAt(provider, first.clients);
      const ids: string[] = [];
      for (let user = 0; user < 25; user++)
        ids.push(await consented(first.clients, requestOf("op", { userId: `user-${user}` })));
      const revisionsAt = ({ clients }: HubProcess) =>
        Promise.all(ids.map(async (id) => (await tokenOf(clients, id))?.revision ?? 0n));
      postgres.kill();
      const kept = postgres.saved();
      await postgres.start();
      const { clients } = await hubs.leader();
      for (const id of ids) await refreshedPast(clients, id, 1n);
      const newest = await revisionsAt(await hubs.leader());
      for (const hub of hubs.all) await expect.poll(() => revisionsAt(hub)).toEqual(newest);
      await Promise.all(hubs.all.map(({ daemon }) => daemon.kill("SIGTERM")));

      postgres.kill();
      postgres.restore(kept);
      await postgres.start();
      // The lease that the database came back with ends first.
      const restored = () => hubs.command("fleet", "restored").catch(String);
      await expect.poll(restored, { timeout: 60_000, interval: 1_000 }).toContain("start all of them");
      const folder = one.environment["NEXUS_DATA_DIR"] ?? "";
      for (const file of ["nexus.mdb", "nexus.mdb-lock", "daemon-id"])
        rmSync(join(folder, file), { force: true });
      await one.start();
      await expect.poll(() => one.daemon.output, { timeout: 60_000 }).toContain("waits up to five minutes");
      await other.start();

      for (const hub of hubs.all)
        await expect.poll(() => revisionsAt(hub), { timeout: 60_000 }).toEqual(newest);
      const leader = await hubs.leader();
      for (const [index, id] of ids.entries())
        await refreshedPast(leader.clients, id, newest[index] as bigint);
      const refused = provider.tokenRequests.filter(({ status }) => status >= 400);
      expect(refused, "a token that was rotated came again").toEqual([]);
      expect(await postgres.query("SELECT name FROM nexus.lease WHERE name <> 'leader'")).toEqual([]);
    } finally {
      await hubs.close();
      await provider.stop();
    }
  }, 300_000);

  it("a token that no copy has newer after `nexusd fleet restored` may have been used, and ends in outcome_unknown", async (context) => {
    needs(context, "postgresql");
    const provider = await startOpenIdProvider({ redirectUris: [], accessTokenTtlSeconds: 3_600 });
    const hubs = await Hubs.start({ count: 1, environment: shortLease });
    try {
      const { postgres } = hubs;
      const [hub] = hubs.all as [HubProcess];
      const { connections, tokens } = hub.clients;
      await hubs.leader();
      await hubs.balance(hub);
      await registeredAt(provider, hub.clients);
      const connectionId = await consented(hub.clients, requestOf("op"), new Browser());
      const shown = async () => (await connections.getConnection({ connectionId })).connection;
      postgres.kill();
      const kept = postgres.saved();
      await postgres.start();
      const revision = async () => (await tokens.refreshToken({ connectionId })).token?.revision ?? 0n;
      await expect
        .poll(() => revision().catch(() => 0n), { timeout: 60_000, interval: 1_000 })
        .toBeGreaterThan(1n);
      await hub.daemon.kill("SIGTERM");

      postgres.kill();
      postgres.restore(kept);
      await postgres.start();
      const restored = () => hubs.command("fleet", "restored").catch(String);
      await expect.poll(restored, { timeout: 60_000, interval: 1_000 }).toContain("start all of them");
      rmSync(hub.environment["NEXUS_DATA_DIR"] ?? "", { recursive: true });
      await hub.start();
      await hubs.leader();
      await expect.poll(async () => (await shown())?.problem?.reason).toBe("restored");

      await expect(tokens.refreshToken({ connectionId })).rejects.toThrow();
      const lost = await shown();
      expect([lost?.status, lost?.problem?.reason]).toEqual([ConnectionStatus.ATTENTION, "outcome_unknown"]);
    } finally {
      await hubs.close();
      await provider.stop();
    }
  }, 300_000);

  function epochOf({ event }: WatchTokensResponse): string | undefined {
    return event.case === "bookmark" ? event.value.position?.epoch : undefined;
  }
});
