import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { silence } from "../oauth/scripted_server.js";
import type { Container } from "./manifests.js";
import { podAddress, type Running } from "./pod.js";
import { PodWorld, tokenSet } from "./pod_world.js";
import { bytesOf, usageOf } from "./usage.js";

/** The kubelet gives a sidecar two seconds when the other containers have used the grace period up, and the manifests let it drain so long. */
const drainMs = 1_500;

let world: PodWorld;
let nexusd: Running;
/** How long it took to start: about half a second, and longer where others keep the machine busy. */
let startMs: number;

beforeEach(async () => {
  world = await PodWorld.make();
  const before = performance.now();
  nexusd = await world.start();
  startMs = performance.now() - before;
});

afterEach(async () => {
  await nexusd.kill();
  await world.close();
});

const asAgent = (...args: string[]): Running => world.pod.start(world.pod.agent, { args });
const asOperator = (...args: string[]): Running => world.pod.start(world.pod.nexusd, { args });

async function opens(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address);
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
  });
  socket.destroy();
  return isOpen;
}

async function probes(): Promise<{ ready: number | undefined; live: number | undefined }> {
  const { nexusd: container } = world.pod;
  const { startupProbe, livenessProbe } = container;
  if (!startupProbe || !livenessProbe) throw new Error("a probe is missing");
  return {
    ready: await world.pod.probe(container, startupProbe),
    live: await world.pod.probe(container, livenessProbe),
  };
}

it("runs as the manifests say: user, groups, no capability and no way to one, a root that cannot be written", async () => {
  const status = readFileSync(`/proc/${await nexusd.pid}/status`, "utf8");
  expect(status).toMatch(/^Uid:\s64532\s64532\s64532\s64532$/m);
  expect(status).toMatch(/^Gid:\s64532\s64532\s64532\s64532$/m);
  expect(status).toMatch(/^NoNewPrivs:\s1$/m);
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"])
    expect(status).toMatch(new RegExp(`^Cap${set}:\\s0+$`, "m"));
  const write = `for (const folder of process.argv.slice(1)) try {
      require("node:fs").writeFileSync(folder + "/written", ""); console.log(folder, "written");
    } catch ({ code }) { console.log(folder, code); }`;
  const node = (container: Container, ...folders: string[]): Running =>
    world.pod.start({ ...container, command: ["/nodejs/bin/node"] }, { args: ["-e", write, ...folders] });
  const { pod } = world;
  expect(
    await world.says(node(pod.nexusd, "/", "/app", "/etc/nexus/place", "/etc/nexus/settings", "/data")),
  ).toBe("/ EROFS\n/app EROFS\n/etc/nexus/place EROFS\n/etc/nexus/settings EROFS\n/data written");
  expect(await world.says(node(pod.agent, "/run/nexus"))).toBe("/run/nexus EROFS");
});

it("lets the agent ask for tokens by the shared socket as another user, and do nothing else", async () => {
  const connectionId = await world.connect("sound");
  expect(await world.says(asAgent("token", connectionId))).toBe("sound-access-1");
  const keys = asAgent("keys", "list");
  expect(await keys.exited).not.toBe(0);
  expect(keys.output).toMatch(/permission|may not|denied/i);
});

it("takes a restriction of the pod's annotation, without a new pod", async () => {
  const connectionId = await world.connect("sound");
  await world.says(asAgent("token", connectionId));
  const binding = { principals: ["uid:*"], role: "agent", user_ids: ["somebody-else"] };
  world.pod.update("nexusd-place", { "policy.yaml": JSON.stringify({ bindings: [binding] }) });
  for (let tries = 0; ; tries++) {
    if ((await asAgent("token", connectionId).exited) !== 0) break;
    if (tries === 20) throw new Error("the agent is still let in");
  }
});

it("answers `kubectl exec`: health, and the providers of the ConfigMap", async () => {
  await world.says(asOperator("health"));
  const listed = await world.says(asOperator("provider", "list"));
  for (const name of ["sound", "late", "hung", "refusing"]) expect(listed).toContain(name);
});

it("opens to the world what the manifests open: the browser's listener and the probes'", async () => {
  expect(await opens(podAddress, 15_080)).toBe(true);
  expect(await opens(podAddress, 15_090)).toBe(true);
  for (const address of [podAddress, "127.0.0.1"]) expect(await opens(address, 8090)).toBe(false);
});

it("stays ready and alive while a connection is broken and a provider hangs", async () => {
  const [broken, waiting] = [await world.connect("refusing"), await world.connect("hung")];
  world.answers.set("refusing", (response) => {
    response.writeHead(400, { "content-type": "application/json" }).end('{"error":"invalid_grant"}');
  });
  world.answers.set("hung", silence);
  const { tokens, connections } = world.admin();
  await expect(tokens.refreshToken({ connectionId: broken })).rejects.toThrow();
  const hanging = tokens.refreshToken({ connectionId: waiting }).catch(() => undefined);
  await world.wasAsked("hung", 2);
  const { connection } = await connections.getConnection({ connectionId: broken });
  expect(connection?.problem?.reason ?? connection?.problem).toBeDefined();
  expect(await probes()).toEqual({ ready: 200, live: 200 });
  await nexusd.kill();
  await hanging;
  expect(await probes()).toEqual({ ready: undefined, live: undefined });
  nexusd = await world.start();
  expect(await probes()).toEqual({ ready: 200, live: 200 });
  await expect(tokens.getToken({ connectionId: broken })).rejects.toThrow();
});

describe("SIGTERM", () => {
  it("ends it within the shortest grace, streams open, a provider hung, and stores what comes meanwhile", async () => {
    const { tokens } = world.admin();
    const [sound, late, hung] = [
      await world.connect("sound"),
      await world.connect("late"),
      await world.connect("hung"),
    ];
    const streams = await Promise.all([watching(), watching(), watching()]);
    const agent = asAgent("watch", "--json");
    await until(() => agent.output.includes(sound));
    const idle = [connect(15_080, podAddress), connect(15_090, podAddress)];
    for (const socket of idle) socket.on("error", () => undefined);

    let answer: (() => void) | undefined;
    world.answers.set("late", (response, request) => {
      answer = () => tokenSet("late", 2)(response, request);
    });
    world.answers.set("hung", silence);
    const calls = [late, hung].map((connectionId) =>
      tokens.refreshToken({ connectionId }).catch(() => undefined),
    );
    await Promise.all([world.wasAsked("late", 2), world.wasAsked("hung", 2)]);

    const before = performance.now();
    await nexusd.signal("SIGTERM");
    expect(await Promise.all(streams.map((drained) => drained()))).toEqual([true, true, true]);
    answer?.();
    expect(await nexusd.exited).toBe(0);
    const tookMs = performance.now() - before;
    console.log(
      `from SIGTERM to the end: ${Math.round(tookMs)} ms, after a start of ${Math.round(startMs)} ms`,
    );
    expect(tookMs).toBeLessThan(drainMs + startMs);
    await Promise.all([agent.kill(), ...calls]);
    for (const socket of idle) socket.destroy();

    world.answers.clear();
    world.pod.mountAgain("nexusd");
    nexusd = await world.start();
    const held = async (connectionId: string) =>
      (await tokens.getToken({ connectionId })).token?.credentials["access_token"];
    expect(await held(late)).toBe("late-access-2");
    expect(await held(sound)).toBe("sound-access-1");
    expect(await held(hung)).toBe("hung-access-1");
    expect(world.asked.get("late")).toBe(2);
    expect(await world.says(asAgent("token", late))).toBe("late-access-2");
  });

  it("ends it in less time than it took to start when nothing is under way", async () => {
    const before = performance.now();
    await nexusd.signal("SIGTERM");
    expect(await nexusd.exited).toBe(0);
    expect(performance.now() - before).toBeLessThan(startMs);
  });
});

describe("a pod whose store is in memory", () => {
  beforeEach(async () => {
    await nexusd.kill();
    await world.close();
    world = await PodWorld.make({ "nexusd.dev/volume": "" });
    nexusd = await world.start();
  });

  it("has no store of yesterday: a new pod begins anew", async () => {
    expect((await world.admin().connections.listConnections({})).connections).toEqual([]);
  });

  // Nothing is timed here, and the machine may be laden.
  it("needs what the manifests request at rest, and stays well within its limit under load", {
    timeout: 240_000,
  }, async () => {
    const [connections, streams, calls] = [200, 200, 5_000];
    const { requests, limits } = world.pod.nexusd.resources;
    const rest = usageOf(await nexusd.pid);
    const { tokens } = world.admin();
    const ids: string[] = [];
    for (let count = 0; count < connections; count++) ids.push(await world.connect("sound"));
    const stops: AbortController[] = [];
    for (let count = 0; count < streams; count++) {
      const stop = new AbortController();
      stops.push(stop);
      const messages = tokens.watchTokens({}, { signal: stop.signal })[Symbol.asyncIterator]();
      await messages.next();
      messages.next().catch(() => undefined);
    }
    const before = usageOf(await nexusd.pid);
    for (let count = 0; count < calls; count++)
      await tokens.getToken({ connectionId: ids[count % ids.length] ?? "" });
    const loaded = usageOf(await nexusd.pid);
    for (const stop of stops) stop.abort();
    const miB = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
    console.log(
      `ready: ${miB(rest.residentBytes)} resident after ${rest.cpuMs} ms of CPU; ` +
        `with ${connections} connections and ${streams} streams: ${miB(before.residentBytes)}; ` +
        `after ${calls} GetToken: ${miB(loaded.residentBytes)}, ${((loaded.cpuMs - before.cpuMs) / calls).toFixed(3)} ms of CPU each`,
    );
    expect(rest.residentBytes).toBeLessThan(bytesOf(requests["memory"]));
    expect(loaded.residentBytes).toBeLessThan(bytesOf(limits["memory"]));
  });
});

/** A stream that has its snapshot; what is returned waits for its end and tells whether it was told to drain. */
async function watching(): Promise<() => Promise<boolean>> {
  const messages = world.admin().tokens.watchTokens({})[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await messages.next();
    if (done) throw new Error("the stream ended");
    if (value.event.case === "bookmark") break;
  }
  return async () => {
    for (;;) {
      const { value, done } = await messages.next();
      if (done) return false;
      if (value.event.case === "drain") return true;
    }
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}
