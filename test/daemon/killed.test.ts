/** What a daemon leaves that is killed, or that kills itself. */
import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { Store } from "../../src/store/store.js";
import { limitFileSize } from "../fakes/file_size_limit.js";
import { FullListener } from "../fakes/full_listener.js";
import { startOpenIdProvider } from "../fakes/openid_provider.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";
import { json, type Script, startScriptedServer } from "../oauth/scripted_server.js";
import { untilEvent } from "./audit_events.js";
import { DaemonProcess, DaemonProcesses } from "./daemon_process.js";
import { failureOf } from "./errors.js";
import { foreignRefreshToken } from "./foreign_token.js";
import { clientsOf, Place } from "./harness.js";
import { registered, registeredAt } from "./requests.js";

describe("the audit log of a daemon that is killed", () => {
  it("holds an event for each change that was acknowledged, and for no other", async () => {
    const place = await Place.make();
    const daemon = new DaemonProcess(place.environment);
    await daemon.ready();
    const { providers } = clientsOf(place.socket);
    const acknowledged: string[] = [];
    const create = async (lane: number): Promise<void> => {
      for (let i = 0; ; i++) {
        const providerId = await registered(
          { providers },
          {
            name: `p-${lane}-${i}`,
            clientId: "client",
            clientSecret: "secret",
            authUrl: "https://op.example/auth",
            tokenUrl: "https://op.example/token",
          },
        );
        acknowledged.push(providerId);
        if (acknowledged.length === 60) void daemon.kill("SIGKILL");
      }
    };
    await Promise.allSettled([1, 2, 3, 4].map(create));
    await daemon.exited;

    const store = Store.open({ folder: place.config.dataDir, nowMs: 1 });
    const stored = store.listProviders({ limit: 10_000 }).map(({ id }) => id);
    const events = store.listAuditEvents({ limit: 10_000 }).events;
    expect(events.map(({ event }) => event.providerId).sort()).toEqual(stored.sort());
    expect(stored).toEqual(expect.arrayContaining(acknowledged));
    expect(store.verifyAudit().step(100_000)).toMatchObject({
      checked: BigInt(stored.length),
      violation: undefined,
    });
    await store.close();
  });
});

describe("an import that is cut off by a crash", () => {
  // Ports that nobody holds while the daemon is down could be taken meanwhile.
  const place = perTest(() => Place.make({ NEXUS_OPS_LISTEN: "off", NEXUS_HTTP_LISTEN: "off" }));
  const provider = perTest(() => startOpenIdProvider({ redirectUris: [place.config.redirectUri] }));
  const daemons = perTest(() => new DaemonProcesses(place.environment));
  let providerId: string;
  let refreshToken: string;
  beforeEach(async () => {
    refreshToken = await foreignRefreshToken(provider, place.config.redirectUri);
    await daemons.started();
    providerId = await registeredAt(provider, place.clients());
  });
  /** The provider has got the refresh token when the daemon dies. */
  const importAndKill = async (): Promise<void> => {
    const failed = failureOf(
      place.clients().connections.importConnection({ userId: "ada", providerId, refreshToken }),
    );
    await provider.waitForTokenRequests(2);
    await daemons.all[0]?.kill("SIGKILL");
    await failed;
  };

  it("is finished at the next start when the token still works", async () => {
    await provider.setOutage("hang");
    await importAndKill();
    await provider.setOutage("none");
    await daemons.started();
    const event = await untilEvent(place.clients(), "connection.imported");
    const { connection } = await place
      .clients()
      .connections.getConnection({ connectionId: event.connectionId });
    expect(connection?.status).toBe(ConnectionStatus.ACTIVE);
    const again = await place
      .clients()
      .connections.importConnection({ userId: "ada", providerId, refreshToken });
    expect(again.connection?.id).toBe(event.connectionId);
    expect(provider.tokenRequests).toHaveLength(3);
  });

  it("is not lost without a word when the provider had rotated the token", async () => {
    const release = provider.holdTokenResponses();
    await importAndKill();
    release();
    await daemons.started();
    const event = await untilEvent(place.clients(), "connection.import_failed");
    expect(event).toMatchObject({ providerId, principal: "owner", reason: "outcome_unknown" });
    expect((await place.clients().connections.listConnections({})).connections).toEqual([]);
  });
});

describe("a refresh whose connection to the provider never opens", () => {
  const place = perTest(() => Place.make({ NEXUS_OPS_LISTEN: "off", NEXUS_HTTP_LISTEN: "off" }));
  const daemons = perTest(() => new DaemonProcesses(place.environment));

  it("costs nothing, however often the daemon is killed while it connects", async () => {
    const port = await freePort();
    let count = 0;
    const answer: Script = (response, request) => {
      count++;
      const tokens = { access_token: `access-${count}`, refresh_token: `refresh-${count}`, expires_in: 3600 };
      json({ ...tokens, token_type: "Bearer" })(response, request);
    };
    let provider = await startScriptedServer(answer, port);
    const daemon = await daemons.started();
    const providerId = await registered(place.clients(), {
      ...{ name: "op", clientId: "client", clientSecret: "secret" },
      authUrl: `${provider.origin}/auth`,
      tokenUrl: `${provider.origin}/token`,
    });
    const imported = { userId: "ada", providerId, refreshToken: "refresh-0" };
    const { connection } = await place.clients().connections.importConnection(imported);
    const connectionId = connection?.id ?? "";
    await provider.close();

    const full = await FullListener.open(port);
    for (let kill = 0, alive = daemon; kill < 2; kill++) {
      const asked = failureOf(place.clients().tokens.refreshToken({ connectionId }));
      await expect.poll(() => full.connecting).toBe(1);
      await alive.kill("SIGKILL");
      await asked;
      alive = await daemons.started();
    }
    await full.close();

    provider = await startScriptedServer(answer, port);
    const { token } = await place.clients().tokens.refreshToken({ connectionId });
    expect(token?.credentials["access_token"]).toBe("access-2");
    expect(provider.requests.map(({ form }) => form.get("refresh_token"))).toEqual(["refresh-1"]);
    await provider.close();
  });
});

// MUTATION, one at a time: `restError` answers 404 for what is no WireError; `onFatal` does nothing.
it("a lost database is not `connection not found`, and health does not stay green", async () => {
  const place = await Place.make();
  const daemon = new DaemonProcess(place.environment);
  await daemon.ready();
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(place.httpUrl + path, { ...init, headers: { "x-api-key": place.apiKey } });
  const register = (name: string) =>
    ask("/v1/providers", {
      method: "POST",
      body: JSON.stringify({ profile: { name, auth_type: "api_key", description: "x".repeat(1000) } }),
    });
  expect((await register("good")).status).toBe(201);
  expect((await fetch(`${place.opsUrl}/readyz`)).status).toBe(200);
  limitFileSize(daemon.pid, 1n);
  // Each is stored, or refused as what it is, until the daemon is gone.
  for (let attempt = 0; ; attempt++) {
    const answer = await register(`full-${attempt}`).catch(() => undefined);
    if (!answer) break;
    expect(answer.status === 201 || answer.status >= 500, String(answer.status)).toBe(true);
  }
  expect(await daemon.exited).toBe(14);
  await expect(fetch(`${place.opsUrl}/readyz`)).rejects.toThrow();
  await expect(fetch(`${place.opsUrl}/livez`)).rejects.toThrow();
});
