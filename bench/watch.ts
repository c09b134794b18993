import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Clients } from "../test/daemon/harness.js";
import { start, startServer } from "./children.js";
import { Commits } from "./commits.js";
import { boundFigure, type Figure, median, percentile, ratioFigure } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { anonymousMiB } from "./process_figures.js";

/** Bytes of an update that a subscriber must have before it counts as received: all of them but the last frame's edge. */
const updateBytes = 1_450;

/** One server with its subscribers, and how an update of it begins. */
export interface WatchedServer {
  readonly pid: number;
  readonly socket: string;
  /** Causes one update. @returns what tells, once it was received, when it began to be on its way, in ns */
  update(): Promise<() => bigint | Promise<bigint>>;
}

/** Fan-out of one update, and what a subscriber costs, beside a server that writes one buffer to as many streams. */
export async function watchFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  // One that does not read is looked at for longer than the daemon would wait for it.
  const environment = { NEXUS_STREAM_READ_TIMEOUT_SECONDS: "3600" };
  const provider = start("bench_provider.ts", []);
  const [{ origin }] = (await once(provider, "message")) as [{ origin: string }];
  const dueAtMs = Date.now() + 7_200_000;
  const groups = [{ count: 1, dueAtMs, accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups, { origin, environment });
  const folder = place.config.dataDir;
  const [[connectionId = ""] = []] = ids;
  const commits = new Commits(join(folder, "commits"));
  const commitCounts: number[] = [];
  const started = async (): Promise<DaemonProcess> => {
    const process = new DaemonProcess({ ...place.environment, ...commits.environment });
    await process.ready();
    return process;
  };
  let daemon = await started();
  const bareSocket = join(folder, "bare.sock");
  const bare = await startServer("bare_http2_server.ts", [bareSocket, "1500"]);
  const { tokens } = place.clients();
  const ours: WatchedServer = {
    get pid() {
      return daemon.pid;
    },
    socket: place.socket,
    update: async () => {
      await refreshed(tokens, provider, connectionId);
      return async () => {
        const { changedNs, count } = await commits.ofUpdate();
        commitCounts.push(count);
        return changedNs;
      };
    },
  };
  const theirs: WatchedServer = {
    pid: bare.pid ?? 0,
    socket: bareSocket,
    update: async () => {
      const written = once(bare, "message");
      bare.send("update");
      const [{ answeredNs }] = (await written) as [{ answeredNs: string }];
      return () => BigInt(answeredNs);
    },
  };
  const request = toBinary(
    WatchTokensRequestSchema,
    create(WatchTokensRequestSchema, {
      connectionIds: [connectionId],
      bookmarkInterval: { seconds: 120n, nanos: 0 },
    }),
  );
  const figures: Figure[] = [];
  try {
    // In a process of its own, which holds nothing that it could give back, and warms up nothing for the other lines.
    const plain = { ...ours, update: () => refreshed(tokens, provider, connectionId) };
    figures.push(await stalledReaders(plain, request, quick ? 200 : 10_000));
    await daemon.kill("SIGTERM");
    daemon = await started();
    // What the first streams of a process cost (code that is compiled, buffers of the sockets) is not the subscribers'.
    for (const side of [theirs, ours]) {
      const client = await subscribers(side, 200, request);
      client.disconnect();
      await once(client, "exit");
    }
    for (const streams of quick ? [1_000] : [1_000, 10_000]) {
      const rounds = quick ? 5 : streams === 1_000 ? 30 : 10;
      const taken = { ours: [] as number[], theirs: [] as number[] };
      const memory = { ours: Number.NaN, theirs: Number.NaN };
      const sides = [
        ["theirs", theirs],
        ["ours", ours],
      ] as const;
      const clients: ChildProcess[] = [];
      for (const [name, side] of sides) {
        const idle = anonymousMiB(side.pid);
        clients.push(await subscribers(side, streams, request));
        memory[name] = ((anonymousMiB(side.pid) - idle) * 1_024) / streams;
      }
      // In turn, so that both meet the same machine.
      commitCounts.length = 0;
      const warmUp = quick ? 2 : 20;
      for (let round = 0; round < rounds + warmUp; round++) {
        for (const [index, [name, side]] of sides.entries()) {
          const ms = await fanOut(side, clients[index] as ChildProcess);
          if (round >= warmUp) taken[name].push(ms);
        }
      }
      for (const client of clients) {
        client.disconnect();
        await once(client, "exit");
      }
      figures.push(
        ratioFigure({
          name: `WatchTokens, ${streams} subscribers: commit to last receipt, p99`,
          unit: "ms",
          ours: [percentile(taken.ours, 0.99)],
          theirs: [percentile(taken.theirs, 0.99)],
          against: "bare node:http2",
          atMost: streams === 1_000 ? 1.3 : 1.1,
        }),
        boundFigure({
          name: `durable commits of an update, reads of ${streams} subscribers included`,
          unit: "commits",
          value: median(commitCounts),
          atMost: 2,
        }),
        ratioFigure({
          name: `memory per subscriber, ${streams}`,
          unit: "KiB",
          ours: [memory.ours],
          theirs: [memory.theirs],
          against: "bare node:http2",
          atMost: 1.3,
        }),
      );
    }
  } finally {
    provider.disconnect();
    bare.disconnect();
    await daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
  return figures;
}

export async function refreshed(
  tokens: Clients["tokens"],
  provider: ChildProcess,
  connectionId: string,
): Promise<() => bigint> {
  const answered = once(provider, "message");
  await tokens.refreshToken({ connectionId });
  const [{ answeredNs }] = (await answered) as [{ answeredNs: string }];
  return () => BigInt(answeredNs);
}

export async function subscribers(
  { socket }: WatchedServer,
  streams: number,
  request: Uint8Array,
  stalled = 0,
): Promise<ChildProcess> {
  const sockets = Math.min(50, streams);
  const args = [socket, streams, sockets, stalled, Buffer.from(request).toString("base64")].map(String);
  const client = start("watch_client.ts", args);
  const [message] = await once(client, "message");
  if (message !== "open") throw new Error(`the subscribers failed: ${JSON.stringify(message)}`);
  return client;
}

/** @returns milliseconds from the cause of an update to its last receipt */
export async function fanOut(side: WatchedServer, client: ChildProcess): Promise<number> {
  const armed = once(client, "message");
  client.send({ expect: updateBytes });
  await armed;
  const received = once(client, "message");
  const startedNs = await side.update();
  const [{ receivedNs, failed }] = (await received) as [{ receivedNs?: string; failed?: string }];
  if (receivedNs === undefined) throw new Error(failed);
  return Number(BigInt(receivedNs) - (await startedNs())) / 1e6;
}

/** Growth of memory while one of a hundred subscribers reads nothing. */
async function stalledReaders(side: WatchedServer, request: Uint8Array, updates: number): Promise<Figure> {
  const client = await subscribers(side, 100, request, 1);
  const warm = Math.ceil(updates / 5);
  for (let update = 0; update < warm; update++) await fanOut(side, client);
  const before = anonymousMiB(side.pid);
  for (let update = warm; update < updates; update++) await fanOut(side, client);
  const value = anonymousMiB(side.pid) - before;
  client.disconnect();
  await once(client, "exit");
  return boundFigure({
    name: `growth of memory over ${updates} updates, 1 of 100 subscribers does not read`,
    unit: "MiB",
    value,
    atMost: 5,
  });
}
