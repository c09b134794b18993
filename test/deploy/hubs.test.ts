import { afterAll, beforeAll, expect, it } from "vitest";
import { agent, type HubPod, HubsWorld } from "./hubs_world.js";

let world: HubsWorld;

beforeAll(async () => {
  world = await HubsWorld.make();
}, 60_000);

afterAll(() => world.close());

const others = (...gone: readonly HubPod[]): HubPod[] => world.hubs.filter((hub) => !gone.includes(hub));

async function tokenAt(hub: HubPod, connectionId: string): Promise<string | undefined> {
  const { token } = await hub.clients(world.tokenOf(agent)).tokens.getToken({ connectionId });
  return token?.credentials["access_token"];
}

let connectionId = "";

it("has no hub before the Job has made the store, and one store after two of them", async () => {
  const [first] = world.hubs as [HubPod];
  await expect(first.start()).rejects.toThrow(/nexusd fleet init/);
  expect(await first.running?.exited).toBe(15);
  expect(await world.job()).toMatchObject({ code: 0 });
  expect(await world.job()).toMatchObject({
    code: 15,
    output: expect.stringContaining("has a fleet already"),
  });
});

it("is three hubs that find each other by the names of the StatefulSet, one of which leads", async () => {
  await Promise.all(world.hubs.map((hub) => hub.start()));
  const leader = await world.leader();
  const members = async () => (await leader.fleet())?.members.map(({ address }) => address).sort();
  const names = world.hubs.map(({ name }) => `${name}.nexusd-hubs.agents.svc:7443`);
  await expect.poll(members, { timeout: 20_000 }).toEqual(names);
  for (const hub of world.hubs) expect(await hub.ready()).toBe(200);
  const told = await leader.command("fleet");
  for (const name of names) expect(told).toContain(name);
});

it("serves the service account that the policy names at every hub, by TLS, and no other one", async () => {
  const [one] = others(await world.leader()) as [HubPod];
  const { providers, connections } = one.clients(world.adminKey);
  const { provider } = await providers.getProvider({ key: { case: "name", value: "sound" } });
  const imported = { userId: "ada", providerId: provider?.id ?? "", refreshToken: "refresh-0" };
  connectionId = (await connections.importConnection(imported)).connection?.id ?? "";
  for (const hub of world.hubs) expect(await tokenAt(hub, connectionId)).toBe("access-1");
  const other = one.clients(world.tokenOf("system:serviceaccount:agents:other"));
  await expect(other.tokens.getToken({ connectionId })).rejects.toThrow(/permission_denied/);
});

it("goes on when the leader's node is lost, and takes the pod back", async () => {
  const killed = await world.leader();
  await killed.running?.kill();
  killed.running = undefined;
  const [one] = others(killed) as [HubPod];
  expect(await tokenAt(one, connectionId)).toBe("access-1");
  const { token } = await one.clients(world.adminKey).tokens.refreshToken({ connectionId });
  expect(token?.credentials["access_token"]).toBe("access-2");
  const next = await world.leader();
  await killed.start();
  expect(await world.leader()).toBe(next);
  expect(await tokenAt(killed, connectionId)).toBe("access-2");
});

it("stays ready and serves living tokens while the database is away, and a pod that starts meanwhile too", async () => {
  const restarted = await world.leader();
  world.postgres.kill();
  await restarted.running?.kill();
  await restarted.start();
  for (const hub of world.hubs) {
    expect(await hub.ready()).toBe(200);
    expect(await tokenAt(hub, connectionId)).toBe("access-2");
  }
  await world.postgres.start();
  const leader = await world.leader();
  const { token } = await leader.clients(world.adminKey).tokens.refreshToken({ connectionId });
  expect(token?.credentials["access_token"]).toBe("access-3");
});

it("ends in good order at SIGTERM: the lead goes to another hub well within the lease", async () => {
  const leader = await world.leader();
  const [one] = others(leader) as [HubPod];
  await leader.running?.signal("SIGTERM");
  const startedMs = performance.now();
  const { token } = await one.clients(world.adminKey).tokens.refreshToken({ connectionId });
  expect(token?.credentials["access_token"]).toBe("access-4");
  expect(performance.now() - startedMs).toBeLessThan(6_000);
  expect(await leader.running?.exited).toBe(0);
  leader.running = undefined;
});
