import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as connectTo } from "node:https";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { agent, type HubPod, HubsWorld } from "./hubs_world.js";
import { only } from "./manifests.js";
import { Pod, type Running } from "./pod.js";
import { placesOf, untilStarted } from "./pod_start.js";
import { HubsService, SpokePod } from "./spoke_pod.js";
import { bytesOf } from "./usage.js";

let world: HubsWorld;
let service: HubsService | undefined;
let spoke: SpokePod | undefined;

beforeAll(async () => {
  world = await HubsWorld.make();
}, 60_000);

afterAll(async () => {
  await spoke?.kill();
  service?.close();
  await world.close();
});

/** What an agent without a spoke shows. */
const tokenFor = (subject: string): string => world.tokenOf(subject, "nexusd");
const others = (...gone: readonly HubPod[]): HubPod[] => world.hubs.filter((hub) => !gone.includes(hub));

async function tokenAt(hub: HubPod, connectionId: string): Promise<string | undefined> {
  const { token } = await hub.clients(tokenFor(agent)).tokens.getToken({ connectionId });
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
  const other = one.clients(tokenFor("system:serviceaccount:agents:other"));
  await expect(other.tokens.getToken({ connectionId })).rejects.toThrow(/permission_denied/);
});

it("goes on when the leader's node is lost, and takes the pod back", async () => {
  const killed = await world.leader();
  await killed.kill();
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
  await restarted.kill();
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

describe("a pod with a spoke", () => {
  /** Its connection of the one stream and all that it has hubs do. */
  const followed = (): HubPod => {
    const [hub, ...more] = service?.used ?? [];
    if (!hub || more.length > 0) throw new Error(`it is connected to ${more.length} more hubs than one`);
    return hub;
  };

  it("has its copy before the agent starts, by the token that Kubernetes projects, and the agent its tokens at the socket", async () => {
    await Promise.all(world.hubs.filter(({ running }) => !running).map((hub) => hub.start()));
    service = await HubsService.of(world);
    spoke = new SpokePod(world, agent);
    await spoke.start();
    expect(await spoke.token(connectionId)).toBe("access-4");
    expect(await spoke.probed("startupProbe")).toBe(200);
    expect(await spoke.command("status")).toContain("https://nexusd.agents.svc");
    const { requests } = spoke.pod.nexusd.resources;
    const bytes = await spoke.residentBytes();
    console.log(`a spoke at rest: ${Math.round(bytes / 1024 ** 2)} MiB resident`);
    expect(bytes).toBeLessThan(bytesOf(requests["memory"]));
  });

  it("goes on at another hub when its own is killed", async () => {
    const pod = spoke as SpokePod;
    const killed = followed();
    await killed.kill();
    expect(await pod.token(connectionId)).toBe("access-4");
    const [one] = others(killed) as [HubPod];
    const { token } = await one.clients(world.adminKey).tokens.refreshToken({ connectionId });
    expect(token?.credentials["access_token"]).toBe("access-5");
    await expect.poll(() => pod.token(connectionId), { timeout: 20_000 }).toBe("access-5");
    expect(followed()).not.toBe(killed);
    await killed.start();
  });

  it("shows the hubs whatever token the kubelet puts there", async () => {
    const pod = spoke as SpokePod;
    expect(await pod.command("connections", "list")).toContain("sound");
    pod.rotate("system:serviceaccount:agents:other");
    await expect(pod.command("connections", "list")).rejects.toThrow(/refuses|permission/i);
    expect(await pod.token(connectionId)).toBe("access-5");
    pod.rotate();
    expect(await pod.command("connections", "list")).toContain("sound");
  });

  it("serves living tokens while all hubs are away, also when its container is started again meanwhile", async () => {
    const pod = spoke as SpokePod;
    for (const hub of world.hubs) {
      await hub.kill();
    }
    expect(await pod.token(connectionId)).toBe("access-5");
    await pod.kill();
    await pod.start();
    expect(await pod.token(connectionId)).toBe("access-5");
    expect([await pod.probed("startupProbe"), await pod.probed("livenessProbe")]).toEqual([200, 200]);
  });
});

it("has a broker that is a proxy by TLS, with keys that outlive its container, and lets nobody in by another port", async () => {
  await Promise.all(world.hubs.filter(({ running }) => !running).map((hub) => hub.start()));
  const place = { kind: "Deployment", workload: "nexusd-broker", address: "127.0.0.40" } as const;
  const token = (audience?: string) => world.tokenOf("system:serviceaccount:agents:nexusd-broker", audience);
  const pod = new Pod(world.objects, { ...place, hosts: world.hosts(), token });
  const start = async (): Promise<Running> => {
    const running = pod.start(pod.nexusd, { env: placesOf(pod) });
    await untilStarted(pod, running);
    return running;
  };
  const command = async (...args: string[]): Promise<string> => {
    const running = pod.start(pod.nexusd, { args });
    expect(await running.exited, running.output).toBe(0);
    return running.output.trim();
  };
  const first = await start();
  const made = await command("keys", "create", "team", "--role", "agent", "--user", "ada", "--path", "/*");
  const [key = ""] = /nxk_[\w-]+/.exec(made) ?? [];
  await first.kill();
  const second = await start();
  onTestFinished(() => second.kill().then());
  const { data } = only(world.objects, "Secret", "nexusd-egress-tls");
  const ca = Buffer.from(data?.["ca.crt"] ?? "", "base64").toString();
  const through = async (credential: string): Promise<number | undefined> => {
    const request = connectTo({
      ...{ host: pod.address, port: 3128, servername: "nexusd-egress.agents.svc", ca },
      ...{ method: "CONNECT", path: "elsewhere.example.com:443" },
      headers: { "proxy-authorization": `Basic ${Buffer.from(`ada:${credential}`).toString("base64")}` },
    });
    const [response, socket] = (await once(request.end(), "connect")) as [IncomingMessage, Socket];
    socket.destroy();
    return response.statusCode;
  };
  expect(await through("wrong")).toBe(407);
  expect(await through(key)).toBe(403);
  for (const port of [8443, 8080, 8090])
    await expect(once(connect(port, pod.address), "connect")).rejects.toThrow("ECONNREFUSED");
});

it("does not start as a service account that the hubs' policy does not name, and says so", async () => {
  // One that led and leads no more has ended: a kubelet would start it again.
  await Promise.all(world.hubs.filter(({ running }) => running?.isOver).map((hub) => hub.start()));
  const stranger = new SpokePod(world, "system:serviceaccount:agents:other");
  await expect(stranger.start()).rejects.toThrow(
    /did not start \(15\).*bind its principal to the role agent/s,
  );
});
