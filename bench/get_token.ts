import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { TokenServiceGetTokenResponseSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { startServer } from "./children.js";
import { type Figure, median } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { h2load } from "./h2load.js";
import { cpuMs } from "./process_figures.js";
import { framed, getTokenMessage, getTokenPath } from "./requests.js";

/** Calls at once, as connections and streams on each. */
const loads = [
  { clients: 1, streams: 1 },
  { clients: 4, streams: 4 },
  { clients: 8, streams: 8 },
];

interface Side {
  readonly pid: number;
  readonly socket: string;
}

/** CPU of the server per `GetToken`, beside grpc-js that answers as many bytes. */
export async function getTokenFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const { rounds, requests, warmUp } = quick
    ? { rounds: 3, requests: 3_000, warmUp: 15_000 }
    : { rounds: 9, requests: 20_000, warmUp: 80_000 };
  const groups = [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups);
  const [[connectionId = ""] = []] = ids;
  const folder = place.config.dataDir;
  const daemon = new DaemonProcess(place.environment);
  await daemon.ready();
  const { token } = await place.clients().tokens.getToken({ connectionId });
  const answer = create(TokenServiceGetTokenResponseSchema, token === undefined ? {} : { token });
  const bytes = toBinary(TokenServiceGetTokenResponseSchema, answer).length;
  const bareSocket = join(folder, "bare.sock");
  const bare = await startServer("bare_grpc_server.ts", [bareSocket, String(bytes)]);
  const body = join(folder, "request.bin");
  writeFileSync(body, framed(getTokenMessage(connectionId)));
  const ours = { pid: daemon.pid, socket: place.socket };
  const theirs = { pid: bare.pid ?? 0, socket: bareSocket };
  try {
    for (const side of [ours, theirs]) await cpuPerCall(side, body, { clients: 4, streams: 4 }, warmUp);
    const figures: Figure[] = [];
    for (const load of loads) {
      const taken = { ours: [] as number[], theirs: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        taken.ours.push(await cpuPerCall(ours, body, load, requests));
        taken.theirs.push(await cpuPerCall(theirs, body, load, requests));
      }
      const atOnce = load.clients * load.streams;
      figures.push({
        name: `${atOnce} ${atOnce === 1 ? "call" : "calls"} at once: CPU per call`,
        value: median(taken.ours),
        against: { name: "bare grpc-js", value: median(taken.theirs) },
      });
    }
    return figures;
  } finally {
    bare.disconnect();
    await daemon.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In microseconds. */
async function cpuPerCall(
  { pid, socket }: Side,
  body: string,
  load: { readonly clients: number; readonly streams: number },
  requests: number,
): Promise<number> {
  const before = cpuMs(pid);
  await h2load({ socket, path: getTokenPath, body, ...load, requests });
  return ((cpuMs(pid) - before) / requests) * 1_000;
}
