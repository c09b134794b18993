import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { Role } from "../src/gen/nexus/v1/access_pb.js";
import { TokenServiceGetTokenRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { RealFleet } from "../test/ext/fleet/real/real_fleet.js";
import { freePort } from "../test/free_port.js";
import { type Figure, ratioFigure } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import type { Filling } from "./filled_store.js";
import { h2load } from "./h2load.js";
import { cpuMs } from "./process_figures.js";

const path = "/nexus.v1.TokenService/GetToken";
const lanes = 16;
const alone = "the daemon that is alone";
/** Time in which nobody asks, to see what a daemon does by itself: a hub keeps its place, a spoke its stream. */
const restMs = 5_000;

export interface ReadEffort {
  readonly rounds: number;
  /** Of each round, of one token. */
  readonly warm: number;
  /** Of each round, each of another token. */
  readonly first: number;
}

/** Whoever answers `GetToken` from a store of its own. */
interface Reader {
  readonly name: string;
  readonly socket: string;
  readonly pid: number;
  readonly ids: readonly string[];
}

/** Connections that nobody refreshes, enough for all first reads. */
export function readableGroup({ rounds, first }: ReadEffort): Filling["groups"][number] {
  return { count: (rounds + 1) * first + 1, dueAtMs: Date.now() + 86_400_000, accessTokenBytes: 1_400 };
}

/** What `GetToken` costs at a follower and at a spoke, beside a daemon that is alone. */
export async function fleetReadFigures(fleet: RealFleet, effort: ReadEffort): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-bench-reads-"));
  const daemons: DaemonProcess[] = [];
  try {
    const follower = fleet.hubs.find(({ isLeader }) => !isLeader);
    if (follower === undefined) throw new Error("a fleet has a follower");
    const readers = [
      { name: "a follower", socket: follower.socket, pid: follower.pid, ids: fleet.ids },
      await spokeReader(fleet, folder, daemons),
      await aloneReader(effort, daemons),
    ];
    const restShare = await restShares(readers);
    const warm = await inTurn({ readers, restShare, rounds: effort.rounds }, (reader, round) =>
      readWarm(reader, folder, round < 0 ? effort.warm * 3 : effort.warm),
    );
    const first = await inTurn({ readers, restShare, rounds: effort.rounds }, (reader, round) => {
      const from = 1 + (round + 1) * effort.first;
      return readAll(reader.socket, reader.ids.slice(from, from + effort.first));
    });
    return ["a follower", "a spoke"].flatMap((name) => [
      ratioFigure({
        name: `GetToken at ${name}, ${lanes} at once: CPU per call`,
        unit: "us",
        ours: warm.get(name) ?? [],
        theirs: warm.get(alone) ?? [],
        against: alone,
        atMost: 1.05,
      }),
      ratioFigure({
        name: `first GetToken of a token at ${name}, ${lanes} at once: CPU per call`,
        unit: "us",
        ours: first.get(name) ?? [],
        theirs: first.get(alone) ?? [],
        against: alone,
        atMost: 1.1,
      }),
    ]);
  } finally {
    for (const daemon of daemons) await daemon.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** CPU of each daemon while nobody asks it, over that time. */
async function restShares(readers: readonly Reader[]): Promise<ReadonlyMap<string, number>> {
  const before = readers.map(({ pid }) => cpuMs(pid));
  const startedMs = performance.now();
  await sleep(restMs);
  const ms = performance.now() - startedMs;
  return new Map(readers.map(({ name, pid }, index) => [name, (cpuMs(pid) - (before[index] ?? 0)) / ms]));
}

/**
 * Microseconds of CPU of each daemon for each call beyond its rest, round by round in turn; the round of -1 warms up.
 *
 * @param read answers how many calls it made
 */
async function inTurn(
  stage: {
    readonly readers: readonly Reader[];
    readonly restShare: ReadonlyMap<string, number>;
    readonly rounds: number;
  },
  read: (reader: Reader, round: number) => Promise<number>,
): Promise<Map<string, number[]>> {
  const { readers, restShare, rounds } = stage;
  const taken = new Map(readers.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const reader of round % 2 === 0 ? readers : readers.toReversed()) {
      const [beforeMs, startedMs] = [cpuMs(reader.pid), performance.now()];
      const calls = await read(reader, round);
      const ofRestMs = (performance.now() - startedMs) * (restShare.get(reader.name) ?? 0);
      const ms = cpuMs(reader.pid) - beforeMs - ofRestMs;
      if (round >= 0) taken.get(reader.name)?.push((ms / calls) * 1_000);
    }
  }
  return taken;
}

async function aloneReader(effort: ReadEffort, daemons: DaemonProcess[]): Promise<Reader> {
  const {
    place,
    ids: [ids = []],
  } = await filledPlace([readableGroup(effort)]);
  const daemon = new DaemonProcess(place.environment);
  daemons.push(daemon);
  await daemon.ready();
  return { name: alone, socket: place.socket, pid: daemon.pid, ids };
}

async function spokeReader(
  { hubs, ids }: RealFleet,
  folder: string,
  daemons: DaemonProcess[],
): Promise<Reader> {
  const [hub] = hubs;
  if (hub === undefined) throw new Error("a spoke needs a hub");
  const restriction = { userIds: ["*"] };
  const { key } = await hub.clients.access.createApiKey({ name: "spoke", role: Role.AGENT, restriction });
  const keyFile = join(folder, "spoke.key");
  writeFileSync(keyFile, key, { mode: 0o600 });
  const dataDir = join(folder, "spoke");
  mkdirSync(dataDir, { mode: 0o700 });
  const daemon = new DaemonProcess({
    NEXUS_UPSTREAM: `http://127.0.0.1:${hub.port}`,
    NEXUS_UPSTREAM_TOKEN_FILE: keyFile,
    NEXUS_DATA_DIR: dataDir,
    NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
    NEXUS_OPS_LISTEN: `127.0.0.1:${await freePort()}`,
    NEXUS_LOG_FORMAT: "json",
  });
  daemons.push(daemon);
  await daemon.ready();
  return { name: "a spoke", socket: join(dataDir, "nexus.sock"), pid: daemon.pid, ids };
}

/** One token, over and over. */
async function readWarm({ name, socket, ids }: Reader, folder: string, requests: number): Promise<number> {
  const body = join(folder, "request.bin");
  writeFileSync(body, frameOf(ids[0] ?? ""));
  const load = { clients: 4, streams: 4, requests };
  const headers = ["content-type: application/grpc", "te: trailers"];
  const { failed } = await h2load({ target: `unix:${socket}`, path, body, headers, ...load });
  if (failed > 0) throw new Error(`${failed} calls failed at ${name}`);
  return requests;
}

/** Each token for the first time: its read is put on record. */
async function readAll(socket: string, ids: readonly string[]): Promise<number> {
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const asIs = (buffer: Buffer): Buffer => buffer;
  const left = [...ids];
  const lane = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const message = Buffer.from(requestOf(id));
      await new Promise<void>((resolve, reject) =>
        client.makeUnaryRequest(path, asIs, asIs, message, (error) => (error ? reject(error) : resolve())),
      );
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  client.close();
  return ids.length;
}

function requestOf(connectionId: string): Uint8Array {
  return toBinary(
    TokenServiceGetTokenRequestSchema,
    create(TokenServiceGetTokenRequestSchema, { connectionId }),
  );
}

function frameOf(connectionId: string): Buffer {
  const message = requestOf(connectionId);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
