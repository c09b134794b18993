import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus, ProviderRevocation } from "../../src/gen/nexus/v1/connection_pb.js";
import { perTest } from "../lifetimes.js";
import { auditEvents, untilEvent } from "./audit_events.js";
import { World } from "./harness.js";
import { requestOf } from "./requests.js";

describe("ending a connection", () => {
  const world = perTest(() => World.make());
  let providerId: string;
  let connectionId: string;
  beforeEach(async () => {
    providerId = await world.register();
    connectionId = await world.connect(providerId);
  });
  const accessToken = async (): Promise<string> => {
    const { token } = await world.clients.tokens.getToken({ connectionId });
    return token?.credentials["access_token"] ?? "";
  };
  /** Whether the provider still honours an access token; revoking its refresh token ends the grant. */
  const lives = async (token: string): Promise<boolean> => {
    const answer = await fetch(world.provider.userinfoEndpoint, {
      headers: { authorization: `Bearer ${token}` },
    });
    return answer.status === 200;
  };

  it.each(["revokeConnection", "deleteConnection"] as const)("%s revokes at the provider", async (method) => {
    const token = await accessToken();
    expect(await lives(token)).toBe(true);
    await world.clients.connections[method]({ connectionId });
    const event = await untilEvent(world.clients, "revoked_at_provider");
    expect(event).toMatchObject({ connectionId, providerId, principal: "daemon", revision: 1n });
    expect(await lives(token)).toBe(false);
  });

  it("does not wait for a provider that is down, tells watchers at once, and revokes when it is back", async () => {
    const token = await accessToken();
    const watcher = world.watch({ connectionIds: [connectionId] });
    await watcher.state(({ revision }) => revision === 1n);
    await world.provider.setOutage("503");
    const { connection } = await world.clients.connections.revokeConnection({ connectionId });
    expect(connection?.status).toBe(ConnectionStatus.REVOKED);
    expect(connection?.providerRevocation).toBe(ProviderRevocation.PENDING);
    const state = await watcher.state(({ status }) => status === ConnectionStatus.REVOKED);
    expect(state.token).toBeUndefined();
    watcher.cancel();
    expect(await auditEvents(world.clients, { eventType: "revoked_at_provider" })).toEqual([]);

    await world.restart();
    await world.provider.setOutage("none");
    expect(await lives(token)).toBe(true);
    let revoked = 0;
    while (revoked === 0) {
      world.clock.advance(10_000);
      revoked = (await auditEvents(world.clients, { eventType: "revoked_at_provider" })).length;
    }
    expect(await lives(token)).toBe(false);
    const { connection: told } = await world.clients.connections.getConnection({ connectionId });
    expect(told?.providerRevocation).toBe(ProviderRevocation.DONE);
  });

  describe("says whether the provider is told", () => {
    const revoke = async (id = connectionId) =>
      (await world.clients.connections.revokeConnection({ connectionId: id })).connection?.providerRevocation;

    it("it was, also when asked again", async () => {
      const { connection } = await world.clients.connections.getConnection({ connectionId });
      expect(connection?.providerRevocation).toBe(ProviderRevocation.UNSPECIFIED);
      expect(await revoke()).toBe(ProviderRevocation.DONE);
      expect(await revoke()).toBe(ProviderRevocation.DONE);
    });

    it("it cannot be: the profile is gone", async () => {
      await world.clients.providers.deleteProvider({ id: providerId });
      expect(await revoke()).toBe(ProviderRevocation.NOT_POSSIBLE);
    });

    it("it need not be: nobody has consented", async () => {
      const requested = await world.clients.connections.requestConnection(requestOf(providerId));
      expect(await revoke(requested.connectionId)).toBe(ProviderRevocation.NOT_NEEDED);
    });
  });

  it("revokes also what a refresh brings for a connection that was ended meanwhile", async () => {
    const release = world.provider.holdTokenResponses();
    const refresh = world.clients.tokens.refreshToken({ connectionId }).catch(() => undefined);
    await world.provider.waitForTokenRequests(2);
    await world.clients.connections.deleteConnection({ connectionId });
    release();
    await refresh;
    let revoked: unknown[] = [];
    while (revoked.length < 2) {
      world.clock.advance(30_000);
      revoked = await auditEvents(world.clients, { eventType: "revoked_at_provider" });
    }
    expect(revoked).toMatchObject([{ connectionId }, { connectionId }]);
  });

  it("works when the profile is gone: then there is nobody to ask", async () => {
    await world.clients.providers.deleteProvider({ id: providerId });
    await world.clients.connections.deleteConnection({ connectionId });
    await world.restart();
    const events = await auditEvents(world.clients, { connectionId });
    expect(events.at(-1)?.eventType).toBe("connection.deleted");
  });

  it("does not ask for what a second revocation finds", async () => {
    await world.clients.connections.revokeConnection({ connectionId });
    await world.clients.connections.revokeConnection({ connectionId });
    await untilEvent(world.clients, "revoked_at_provider");
    await world.clients.connections.deleteConnection({ connectionId });
    const types = (await auditEvents(world.clients, { connectionId })).map(({ eventType }) => eventType);
    expect(types.filter((type) => type === "connection.revoked")).toHaveLength(1);
    expect(types.filter((type) => type === "revoked_at_provider")).toHaveLength(1);
  });
});
