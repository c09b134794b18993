import { type Figure, percentile, ratioFigure } from "./figure.js";
import { h2load } from "./h2load.js";
import { type LatencyClient, latencyClients } from "./latency_clients.js";
import { cpuMs } from "./process_figures.js";
import { type Side, type UnaryStage, unaryStage } from "./unary_stage.js";

const path = "/nexus.v1.TokenService/GetToken";

/** Callers at once, as connections and streams on each: agents share few sockets. */
const loads = [
  { clients: 1, streams: 1 },
  { clients: 4, streams: 4 },
  { clients: 8, streams: 8 },
];

const warm = new WeakSet<Side>();
const warmUp = { clients: 4, streams: 4 };

interface Load {
  readonly clients: number;
  readonly streams: number;
}

interface Effort {
  readonly rounds: number;
  /** Of each round. */
  readonly requests: number;
}

interface CpuEffort extends Effort {
  /** Requests that a side answers before its first round. */
  readonly warmUp: number;
}

/** Server CPU and latency of `GetToken`, beside servers that do nothing. */
export async function unaryFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const effort = quick
    ? { rounds: 3, requests: 3_000, warmUp: 15_000 }
    : { rounds: 9, requests: 20_000, warmUp: 80_000 };
  const stage = await unaryStage();
  const { clients, end } = await latencyClients({ quick });
  try {
    const figures: Figure[] = [];
    for (const load of loads) {
      const callers = load.clients * load.streams;
      figures.push(
        await cpuFigure(stage.grpc, stage.bareGrpc, load, effort, {
          name: `GetToken, gRPC, ${callers} at once: CPU per call`,
          against: "bare grpc-js",
          atMost: 1.25,
        }),
      );
    }
    const calls = quick ? { rounds: 3, requests: 500 } : { rounds: 7, requests: 5_000 };
    for (const client of clients) {
      for (const callers of quick ? [16] : [1, 16, 64]) {
        figures.push(...(await latencyFigures(stage, client, callers, calls)));
      }
    }
    figures.push(
      await cpuFigure(stage.json, stage.bareJson, { clients: 4, streams: 1 }, effort, {
        name: "GetToken, Connect JSON over HTTP/1.1: CPU per call",
        against: "bare connect-node",
        atMost: 1.25,
      }),
      await cpuFigure(stage.real, stage.grpc, { clients: 4, streams: 4 }, effort, {
        name: "GetToken, gRPC, API key of a restricted agent, policy, scraped: CPU per call",
        against: "owner of the socket, no policy",
        atMost: 1.1,
      }),
    );
    return figures;
  } finally {
    end();
    await stage.end();
  }
}

interface Line {
  readonly name: string;
  readonly against: string;
  readonly atMost: number;
}

/** CPU per call of both sides, round by round in turn, after both have answered enough calls for V8 to compile what they run. */
async function cpuFigure(
  ours: Side,
  theirs: Side,
  load: Load,
  { rounds, requests, warmUp: warmUpRequests }: CpuEffort,
  line: Line,
): Promise<Figure> {
  const taken = { ours: [] as number[], theirs: [] as number[] };
  for (const side of [ours, theirs]) {
    if (warm.has(side)) continue;
    await h2load({ ...side, path, ...warmUp, requests: warmUpRequests });
    warm.add(side);
  }
  for (let round = 0; round < rounds; round++) {
    for (const side of round % 2 === 0 ? [ours, theirs] : [theirs, ours]) {
      const before = cpuMs(side.pid);
      const { failed } = await h2load({ ...side, path, ...load, requests });
      if (failed > 0) throw new Error(`${failed} of ${requests} calls failed at ${side.target}`);
      const perCall = ((cpuMs(side.pid) - before) / requests) * 1_000;
      taken[side === ours ? "ours" : "theirs"].push(perCall);
    }
  }
  return ratioFigure({ ...line, ...taken, unit: "us" });
}

/** p50 and p99 of the rounds; the client is a new process in each. */
async function latencyFigures(
  { sockets, request }: UnaryStage,
  client: LatencyClient,
  callers: number,
  { rounds, requests }: Effort,
): Promise<Figure[]> {
  const args = [callers, requests, Buffer.from(request).toString("base64")].map(String);
  const taken = { ours: [] as number[][], theirs: [] as number[][] };
  for (let round = 0; round < rounds; round++) {
    taken.ours.push(await client.measure([sockets.ours, ...args]));
    taken.theirs.push(await client.measure([sockets.bare, ...args]));
  }
  return [0.5, 0.99].map((share) =>
    ratioFigure({
      name: `GetToken, ${client.name}, ${callers} at once: latency p${share * 100}`,
      unit: "us",
      ours: taken.ours.map((round) => percentile(round, share)),
      theirs: taken.theirs.map((round) => percentile(round, share)),
      against: "bare grpc-js",
      atMost: 1.25,
    }),
  );
}
