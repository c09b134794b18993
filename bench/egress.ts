import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { Role } from "../src/gen/nexus/v1/access_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { Place } from "../test/daemon/harness.js";
import { connected } from "../test/ext/egress/daemon/listener_world.js";
import { ProxyClient } from "../test/ext/egress/proxy/proxy_client.js";
import { freePort } from "../test/free_port.js";
import { ProxyProgram } from "../test/proxy/programs.js";
import { start } from "./children.js";
import { type Figure, median } from "./figure.js";
import { anonymousMiB, cpuMs } from "./process_figures.js";

const names = {
  nexusd: "nexusd",
  tunnel: "bare tunnel",
  terminator: "bare terminating proxy",
  mitmproxy: "mitmproxy",
  envoy: "Envoy and its daemon",
};
type Name = keyof typeof names;
/** Ways to the API: the processes that are between, and a connection for requests of HTTP/1.1. */
type Ways = Record<Name, { readonly pids: readonly number[]; readonly open: () => Promise<Duplex> }>;
type Rounds = Record<Name, number[]>;
type AtOnce = Record<"nexusd" | "terminator", number[]>;

const mebibyte = 1024 * 1024;
/** The first ones still count for a moment after they were closed, so the daemon lets one caller have more. */
const idleTunnels = 1_000;
const host = "localhost";

/** Requests by the egress listener, beside other proxies to the same API. */
export async function egressFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const ending: (() => unknown)[] = [];
  try {
    const { ways, port } = await opened(ending);
    const head = (path: string) => `GET /v1/${path} HTTP/1.1\r\nhost: ${host}:${port}\r\n`;
    const bytes = (quick ? 128 : 1_024) * mebibyte;
    return [
      ...(await smallRequests(ways, head("small"), quick ? [5, 200] : [15, 1_000])),
      ...(await smallRequestsAtOnce(ways, head("small"), quick ? [5, 50] : [15, 200])),
      ...(await largeAnswers(ways, head(`large?${bytes}`), bytes, quick ? 1 : 3)),
      { name: "idle tunnel: memory", value: await kiBOfIdleTunnel(ways.nexusd) },
    ];
  } finally {
    for (const end of ending.reverse()) await end();
  }
}

/** Everything that is measured, each in a process of its own. */
async function opened(ending: (() => unknown)[]): Promise<{ readonly ways: Ways; readonly port: number }> {
  const server = async (script: string, ...args: string[]) => {
    const child = start(script, args);
    ending.push(() => child.disconnect());
    const [message] = (await once(child, "message")) as [{ port: number; ca: string }];
    return { ...message, pid: child.pid };
  };
  const [api, bare] = [await server("egress_api.ts"), await server("bare_tunnel.ts")];
  const terminator = await server("bare_terminator.ts", `${api.port}`, api.ca);
  const listen = `127.0.0.1:${await freePort()}`;
  const place = await Place.make({
    NEXUS_EGRESS_LISTEN: listen,
    NEXUS_EGRESS_MAX_CONNECTIONS: `${2 * idleTunnels}`,
  });
  const roots = join(place.config.dataDir, "roots.pem");
  const daemon = new DaemonProcess({ ...place.environment, NODE_EXTRA_CA_CERTS: roots });
  writeFileSync(roots, api.ca);
  ending.push(() => daemon.kill("SIGTERM"));
  await daemon.ready();
  const connectionId = await connected(place.clients(), { host, port: api.port });
  const restriction = { userIds: ["ada"] };
  const made = await place.clients().access.createApiKey({ name: "bench", role: Role.AGENT, restriction });
  const mitmproxy = await ProxyProgram.mitmproxy(roots);
  const envoy = await ProxyProgram.envoy("authorization.yaml", {
    ...{ NEXUS_PROXY_PORT: `${await freePort()}`, NEXUS_API_HOST: host, NEXUS_API_PORT: `${api.port}` },
    ...{ NEXUS_CONNECTION_ID: connectionId, NEXUS_SOCKET: place.socket, NEXUS_API_CA: roots },
  });
  ending.push(() => Promise.all([mitmproxy, envoy].map((program) => program.stop())));
  const through = (pid: number | undefined, url: string, ca: string) => ({
    pids: [pid ?? 0],
    open: () => new ProxyClient(new URL(url), ca, api.port).tls(host, ["http/1.1"]),
  });
  const ca = await (await fetch(`http://${listen}/ca.pem`)).text();
  const ways = {
    nexusd: through(daemon.pid, `http://ada:${made.key}@${listen}`, ca),
    tunnel: through(bare.pid, `http://127.0.0.1:${bare.port}`, api.ca),
    terminator: through(terminator.pid, `http://127.0.0.1:${terminator.port}`, terminator.ca),
    mitmproxy: through(mitmproxy.pid, mitmproxy.url, mitmproxy.ca),
    envoy: { pids: [envoy.pid, daemon.pid], open: async () => connect(Number(new URL(envoy.url).port)) },
  };
  return { ways, port: api.port };
}

async function smallRequests(ways: Ways, head: string, [rounds = 0, requests = 0]): Promise<Figure[]> {
  const namesOfWays = Object.keys(ways) as Name[];
  const empty = () => Object.fromEntries(namesOfWays.map((name) => [name, []])) as unknown as Rounds;
  const [ms, us] = [empty(), empty()];
  // In the first rounds a runtime compiles what it runs.
  for (let round = -3; round < rounds; round++)
    for (const name of namesOfWays) {
      const cpu = () => ways[name].pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
      const socket = await ways[name].open();
      const before = cpu();
      const took = await answered(socket, head, requests);
      if (round >= 0) us[name].push(((cpu() - before) / requests) * 1_000);
      if (round >= 0) ms[name].push(...took);
      socket.destroy();
    }
  const figure = (what: string, of: Rounds, beside: Name, name: Name = "nexusd"): Figure => {
    const against = { name: names[beside], value: median(of[beside]) };
    return { name: `small request: ${what}`, value: median(of[name]), against };
  };
  return [
    figure("p50 of a bare terminating proxy", ms, "tunnel", "terminator"),
    figure("p50", ms, "terminator"),
    figure("p50 beside Envoy", ms, "envoy"),
    figure("CPU", us, "mitmproxy"),
    figure("CPU beside a bare terminating proxy", us, "terminator"),
    figure("CPU beside Envoy", us, "envoy"),
  ];
}

/** By 16 programs, each one after the other. */
async function smallRequestsAtOnce(
  ways: Ways,
  head: string,
  [rounds = 0, requests = 0]: number[],
): Promise<Figure[]> {
  const [ms, us] = [
    { nexusd: [], terminator: [] },
    { nexusd: [], terminator: [] },
  ] as [AtOnce, AtOnce];
  for (let round = -3; round < rounds; round++)
    for (const name of ["nexusd", "terminator"] as const) {
      const { pids, open } = ways[name];
      const sockets = await Promise.all(Array.from({ length: 16 }, open));
      const before = cpuMs(pids[0] ?? 0);
      const took = await Promise.all(sockets.map((socket) => answered(socket, head, requests)));
      const spent = ((cpuMs(pids[0] ?? 0) - before) / (requests * 16)) * 1_000;
      if (round >= 0) us[name].push(spent);
      if (round >= 0) ms[name].push(...took.flat());
      for (const socket of sockets) socket.destroy();
    }
  const figure = (what: string, { nexusd, terminator }: AtOnce): Figure => ({
    name: `16 small requests at once: ${what}`,
    value: median(nexusd),
    against: { name: names.terminator, value: median(terminator) },
  });
  return [figure("p50", ms), figure("CPU", us)];
}

/** One after the other. @returns milliseconds of each */
async function answered(socket: Duplex, head: string, requests: number): Promise<number[]> {
  const taken: number[] = [];
  while (taken.length < requests) {
    const startedMs = performance.now();
    socket.write(`${head}\r\n`);
    for (let got = ""; !got.endsWith("\r\n\r\nok"); ) got += (await once(socket, "data"))[0];
    taken.push(performance.now() - startedMs);
  }
  return taken;
}

async function largeAnswers(ways: Ways, head: string, bytes: number, rounds: number): Promise<Figure[]> {
  const rates = { nexusd: [] as number[], tunnel: [] as number[], terminator: [] as number[] };
  for (let round = 0; round < rounds; round++)
    for (const name of ["nexusd", "tunnel", "terminator"] as const) {
      const socket = await ways[name].open();
      const startedMs = performance.now();
      socket.write(`${head}connection: close\r\n\r\n`);
      let got = 0;
      for await (const chunk of socket) got += (chunk as Buffer).length;
      if (got < bytes) throw new Error(`${got} of ${bytes} bytes came by ${name}`);
      rates[name].push(bytes / mebibyte / ((performance.now() - startedMs) / 1_000));
    }
  const beside = (name: "tunnel" | "terminator") => ({ name: names[name], value: median(rates[name]) });
  return [
    { name: "1 GiB: rate", value: median(rates.nexusd), against: beside("tunnel") },
    { name: "1 GiB: rate beside a terminator", value: median(rates.nexusd), against: beside("terminator") },
  ];
}

/** Of those whose TLS is up, and which send nothing; what the first of a process cost is not the others'. */
async function kiBOfIdleTunnel({ pids: [pid = 0], open }: Ways["nexusd"]): Promise<number> {
  let kiB = 0;
  for (const count of [200, idleTunnels]) {
    const before = anonymousMiB(pid);
    const sockets: Duplex[] = [];
    while (sockets.length < count) sockets.push(await open());
    kiB = ((anonymousMiB(pid) - before) * 1_024) / count;
    for (const socket of sockets) socket.destroy();
  }
  return kiB;
}
