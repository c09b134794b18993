import { once } from "node:events";
import { rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { TokenServiceGetTokenRequestSchema } from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { boundFigure, type Figure, median } from "./figure.js";
import { filledPlace } from "./filled_place.js";
import { answers } from "./start.js";

const getToken = "/nexus.v1.TokenService/GetToken";

/** One kind of call: resolves when the last byte of its answer is here. @throws Error when it is another answer than expected */
type Call = (place: Place, connectionId: string) => Promise<void>;

const kinds: Readonly<Record<string, Call>> = {
  gRPC: ({ socket }, connectionId) => grpc(socket, connectionId),
  "Connect JSON": (place, connectionId) =>
    http(`${place.httpUrl}${getToken}`, place, JSON.stringify({ connectionId })),
  REST: (place, connectionId) => http(`${place.httpUrl}/v1/token/${connectionId}`, place),
  "a page": (place) => http(`${place.opsUrl}/status`, place),
};

/** After `/readyz`, in which the daemon loads by itself what first callers need. */
const settleMs = 500;

/** How long the first call waits that a daemon serves: each time in a process of its own, so that no other call was before it. */
export async function firstAnswerFigures({ quick }: { readonly quick: boolean }): Promise<Figure[]> {
  const rounds = quick ? 3 : 9;
  const groups = [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes: 1_400 }];
  const { place, ids } = await filledPlace(groups);
  const [[connectionId = ""] = []] = ids;
  const taken = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]));
  try {
    // The first rounds warm the client up, and have Node keep the compiled code of the daemon.
    for (let round = -2; round < rounds; round++) {
      for (const [kind, call] of Object.entries(kinds)) {
        const ms = await firstAnswerMs(place, () => call(place, connectionId));
        if (round >= 0) taken.get(kind)?.push(ms);
      }
    }
  } finally {
    rmSync(place.config.dataDir, { recursive: true, force: true });
  }
  return [...taken].map(([kind, ms]) =>
    boundFigure({
      name: `first answer after /readyz, ${kind}`,
      unit: "ms",
      value: median(ms),
      atMost: 30,
    }),
  );
}

async function firstAnswerMs(place: Place, call: () => Promise<void>): Promise<number> {
  const daemon = new DaemonProcess(place.environment);
  try {
    await answers(`${place.opsUrl}/readyz`);
    await new Promise((resolve) => setTimeout(resolve, settleMs));
    const startedMs = performance.now();
    await call();
    return performance.now() - startedMs;
  } finally {
    await daemon.kill("SIGTERM");
  }
}

async function grpc(socket: string, connectionId: string): Promise<void> {
  const message = toBinary(
    TokenServiceGetTokenRequestSchema,
    create(TokenServiceGetTokenRequestSchema, { connectionId }),
  );
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const session = connect("http://localhost", { createConnection: () => connectSocket(socket) });
  const stream = session.request({
    ...{ ":method": "POST", ":path": getToken, "content-type": "application/grpc", te: "trailers" },
  });
  stream.end(Buffer.concat([prefix, message]));
  stream.resume();
  const [trailers] = (await once(stream, "trailers")) as [{ "grpc-status"?: string }];
  session.destroy();
  if (trailers["grpc-status"] !== "0") throw new Error(`gRPC status ${trailers["grpc-status"]}`);
}

async function http(url: string, { apiKey }: Place, body?: string): Promise<void> {
  const headers = { "x-api-key": apiKey, ...(body !== undefined && { "content-type": "application/json" }) };
  const sent = request(url, { method: body === undefined ? "GET" : "POST", headers, agent: false });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  await once(response.resume(), "end");
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`);
}
