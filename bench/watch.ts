import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { start, startServer } from "./children.js";
import { type Figure, percentile } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { Probe } from "./probe.js";
import { anonymousMiB } from "./process_figures.js";
import { watchMessage } from "./requests.js";
import { Subscribers } from "./subscribers.js";

/** Bytes of an update that a subscriber must have before it counts as received: all of them but the last frame's edge. */
const updateBytes = 1_450;

/** One server with its subscribers, and how an update of it begins. */
interface Side {
  readonly pid: number;
  readonly socket: string;
  update(): Promise<void>;
  /** When the last update began to be on its way, in ns. */
  startedNs(): Promise<bigint> | bigint;
}

/** Fan-out of one update, and what a subscriber costs, beside a server that writes one buffer to as many streams. */
export async function watchFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const provider = start("bench_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const groups = [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups, { origin });
  const folder = place.config.dataDir;
  const [[connectionId = ""] = []] = ids;
  const probe = new Probe(join(folder, "probe"));
  const daemon = new DaemonProcess({ ...place.environment, ...probe.environment });
  await daemon.ready();
  const bareSocket = join(folder, "bare.sock");
  const bare = await startServer("bare_http2_server.ts", [bareSocket, "1500"]);
  const { tokens } = place.clients();
  let bareNs = 0n;
  const ours: Side = {
    pid: daemon.pid,
    socket: place.socket,
    update: async () => void (await tokens.refreshToken({ connectionId })),
    startedNs: () => probe.committedNs(),
  };
  const theirs: Side = {
    pid: bare.pid ?? 0,
    socket: bareSocket,
    update: async () => {
      const written = once(bare, "message");
      bare.send("update");
      const [{ answeredNs }] = (await written) as [{ answeredNs: string }];
      bareNs = BigInt(answeredNs);
    },
    startedNs: () => bareNs,
  };
  const request = watchMessage([connectionId]);
  const figures: Figure[] = [];
  try {
    // What the first streams of a process cost is not the subscribers'.
    for (const { socket } of [theirs, ours]) await (await Subscribers.open(socket, 200, request)).close();
    for (const streams of quick ? [1_000] : [1_000, 10_000]) {
      const rounds = quick ? 5 : streams === 1_000 ? 30 : 10;
      figures.push(...(await fanOutFigures({ ours, theirs }, request, streams, rounds)));
    }
  } finally {
    provider.disconnect();
    bare.disconnect();
    await daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
  return figures;
}

async function fanOutFigures(
  sides: { readonly ours: Side; readonly theirs: Side },
  request: Uint8Array,
  streams: number,
  rounds: number,
): Promise<Figure[]> {
  const crowds = {
    ours: await crowd(sides.ours, streams, request),
    theirs: await crowd(sides.theirs, streams, request),
  };
  const taken = { ours: [] as number[], theirs: [] as number[] };
  for (let round = -5; round < rounds; round++) {
    for (const who of ["ours", "theirs"] as const) {
      const receivedNs = await crowds[who].subscribers.received(updateBytes, () => sides[who].update());
      const ms = Number(receivedNs - (await sides[who].startedNs())) / 1e6;
      if (round >= 0) taken[who].push(ms);
    }
  }
  for (const { subscribers } of [crowds.ours, crowds.theirs]) await subscribers.close();
  const who = `${streams === 1_000 ? "1 000" : "10 000"} subscribers`;
  const against = "bare node:http2";
  return [
    {
      name: `${who}: commit to last receipt, p99`,
      value: percentile(taken.ours, 0.99),
      against: { name: against, value: percentile(taken.theirs, 0.99) },
    },
    {
      name: `${who}: memory of each`,
      value: crowds.ours.kiBOfEach,
      against: { name: against, value: crowds.theirs.kiBOfEach },
    },
  ];
}

async function crowd(
  { pid, socket }: Side,
  streams: number,
  request: Uint8Array,
): Promise<{ readonly subscribers: Subscribers; readonly kiBOfEach: number }> {
  const idle = anonymousMiB(pid);
  const subscribers = await Subscribers.open(socket, streams, request);
  return { subscribers, kiBOfEach: ((anonymousMiB(pid) - idle) * 1_024) / streams };
}
