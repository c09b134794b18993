import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  TokenServiceGetTokenRequestSchema,
  TokenServiceGetTokenResponseSchema,
} from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import { freePort, Place } from "../test/daemon/harness.js";
import { answerOf, startServer } from "./children.js";
import { type Figure, percentile, ratioFigure } from "./figure.js";
import { fillStore } from "./filled_store.js";
import { h2load } from "./h2load.js";
import { cpuMs } from "./process_figures.js";

const grpcHeaders = ["content-type: application/grpc", "te: trailers"];
const path = "/nexus.v1.TokenService/GetToken";

/** Callers at once, as connections and streams on each: agents share few sockets. */
const loads = [
  { clients: 1, streams: 1 },
  { clients: 4, streams: 4 },
  { clients: 8, streams: 8 },
];

/** One side of a comparison. */
interface Side {
  readonly pid: number;
  readonly target: string;
  readonly body: string;
  readonly headers: readonly string[];
  readonly http1?: boolean;
}

/** Server CPU and latency of `GetToken`, beside servers that do nothing. */
export async function unaryFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const rounds = quick ? 3 : 7;
  const requests = quick ? 2_500 : 20_000;
  const key = randomBytes(32);
  const place = await Place.make({ NEXUS_ENCRYPTION_KEY: key.toString("base64"), NEXUS_LOG_LEVEL: "info" });
  const folder = place.config.dataDir;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [[connectionId = ""] = []] = await fillStore({
    folder,
    key,
    origin: "http://127.0.0.1:9",
    providers: ["bench"],
    groups: [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }],
  });
  const daemon = new DaemonProcess(place.environment);
  await daemon.ready();
  const { token } = await place.clients().tokens.getToken({ connectionId });
  const answer = create(TokenServiceGetTokenResponseSchema, token === undefined ? {} : { token });
  const bytes = toBinary(TokenServiceGetTokenResponseSchema, answer).length;
  const bareSocket = join(folder, "bare.sock");
  const bareGrpc = await startServer("bare_grpc_server.ts", [bareSocket, String(bytes)]);
  const barePort = await freePort();
  const bareConnect = await startServer("bare_connect_server.ts", [String(barePort), "1400"]);

  const request = toBinary(
    TokenServiceGetTokenRequestSchema,
    create(TokenServiceGetTokenRequestSchema, { connectionId }),
  );
  const frame = join(folder, "request.bin");
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(request.length, 1);
  writeFileSync(frame, Buffer.concat([prefix, request]));
  const json = join(folder, "request.json");
  writeFileSync(json, JSON.stringify({ connectionId }));
  const jsonHeaders = ["content-type: application/json"];

  const ours: Side = { pid: daemon.pid, target: `unix:${place.socket}`, body: frame, headers: grpcHeaders };
  const bare: Side = {
    pid: bareGrpc.pid ?? 0,
    target: `unix:${bareSocket}`,
    body: frame,
    headers: grpcHeaders,
  };
  const withKey = { ...ours, headers: [...grpcHeaders, `x-api-key: ${place.apiKey}`] };
  const oursJson: Side = {
    pid: daemon.pid,
    target: place.httpUrl,
    body: json,
    headers: [...jsonHeaders, `x-api-key: ${place.apiKey}`],
    http1: true,
  };
  const bareJson: Side = {
    pid: bareConnect.pid ?? 0,
    target: `http://127.0.0.1:${barePort}`,
    body: json,
    headers: jsonHeaders,
    http1: true,
  };
  const figures: Figure[] = [];
  try {
    for (const load of loads) {
      const callers = load.clients * load.streams;
      const [mine, theirs] = await interleaved(ours, bare, load, { rounds, requests });
      figures.push(
        ratioFigure({
          name: `GetToken, gRPC, ${callers} at once: CPU per call`,
          unit: "us",
          ours: mine,
          theirs,
          against: "bare grpc-js",
          atMost: 1.25,
        }),
      );
    }
    for (const callers of [1, 16]) {
      const taken = { ours: [] as number[][], theirs: [] as number[][] };
      for (let round = 0; round < rounds; round++) {
        const args = [String(callers), quick ? "500" : "5000", Buffer.from(request).toString("base64")];
        taken.ours.push(await answerOf<number[]>("latency_client.ts", [place.socket, ...args]));
        taken.theirs.push(await answerOf<number[]>("latency_client.ts", [bareSocket, ...args]));
      }
      for (const [word, share] of [
        ["p50", 0.5],
        ["p99", 0.99],
      ] as const) {
        figures.push(
          ratioFigure({
            name: `GetToken, gRPC, ${callers} at once: latency ${word}`,
            unit: "us",
            ours: taken.ours.map((round) => percentile(round, share)),
            theirs: taken.theirs.map((round) => percentile(round, share)),
            against: "bare grpc-js",
            atMost: 1.25,
          }),
        );
      }
    }
    const one = { clients: 4, streams: 1 };
    const [mine, theirs] = await interleaved(oursJson, bareJson, one, { rounds, requests: requests / 2 });
    figures.push(
      ratioFigure({
        name: "GetToken, Connect JSON over HTTP/1.1: CPU per call",
        unit: "us",
        ours: mine,
        theirs,
        against: "bare connect-node",
        atMost: 1.25,
      }),
    );
    const [keyed, unkeyed] = await interleaved(
      withKey,
      ours,
      { clients: 4, streams: 4 },
      { rounds, requests },
    );
    figures.push(
      ratioFigure({
        name: "GetToken, gRPC, with an API key: CPU per call",
        unit: "us",
        ours: keyed,
        theirs: unkeyed,
        against: "owner of the socket",
        atMost: 1.15,
      }),
    );
  } finally {
    bareGrpc.disconnect();
    bareConnect.disconnect();
    await daemon.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
  return figures;
}

/** CPU microseconds per call of both sides, round by round in turn, after one round that warms up. */
async function interleaved(
  ours: Side,
  theirs: Side,
  load: { readonly clients: number; readonly streams: number },
  { rounds, requests }: { readonly rounds: number; readonly requests: number },
): Promise<[number[], number[]]> {
  const taken: [number[], number[]] = [[], []];
  for (let round = -1; round < rounds; round++) {
    const sides = round % 2 === 0 ? [ours, theirs] : [theirs, ours];
    for (const side of sides) {
      const before = cpuMs(side.pid);
      const { failed } = await h2load({ ...side, path, ...load, requests });
      if (failed > 0) throw new Error(`${failed} of ${requests} calls failed at ${side.target}`);
      const perCall = ((cpuMs(side.pid) - before) / requests) * 1_000;
      if (round >= 0) taken[side === ours ? 0 : 1].push(perCall);
    }
  }
  return taken;
}
