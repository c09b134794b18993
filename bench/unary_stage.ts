import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AccessService, Role } from "../src/gen/nexus/v1/access_pb.js";
import {
  TokenServiceGetTokenRequestSchema,
  TokenServiceGetTokenResponseSchema,
} from "../src/gen/nexus/v1/token_pb.js";
import { DaemonProcess } from "../test/daemon/daemon_process.js";
import type { Place } from "../test/daemon/harness.js";
import { freePort } from "../test/free_port.js";
import { startServer } from "./children.js";
import { filledPlace } from "./filled_place.js";

const accessTokenBytes = 1_400;
/** As Prometheus is mostly told to. */
const scrapeEveryMs = 15_000;
const grpcHeaders = ["content-type: application/grpc", "te: trailers"];
const jsonHeaders = ["content-type: application/json"];

const policy = `bindings:
  - principals: ["key:bench-*"]
    role: agent
    user_ids: [ada]
    providers: [bench]
`;

/** One side of a comparison. */
export interface Side {
  readonly pid: number;
  /** `unix:PATH` or `http://HOST:PORT`. */
  readonly target: string;
  /** A file that each request sends. */
  readonly body: string;
  readonly headers: readonly string[];
  readonly http1?: boolean;
}

/** Who takes part in the unary lines. */
export interface UnaryStage {
  readonly grpc: Side;
  readonly bareGrpc: Side;
  readonly bareHttp2: Side;
  readonly json: Side;
  readonly bareJson: Side;
  /** A daemon with a policy, scraped, asked by an agent with a restricted API key. */
  readonly real: Side;
  readonly sockets: { readonly ours: string; readonly bare: string };
  readonly request: Uint8Array;
  end(): Promise<void>;
}

interface Filled {
  readonly place: Place;
  readonly daemon: DaemonProcess;
  readonly connectionId: string;
}

export async function unaryStage(): Promise<UnaryStage> {
  const ours = await startFilled();
  const real = await startFilled(policy);
  const { place, connectionId } = ours;
  const folder = place.config.dataDir;
  const { token } = await place.clients().tokens.getToken({ connectionId });
  const answer = create(TokenServiceGetTokenResponseSchema, token === undefined ? {} : { token });
  const answerBytes = toBinary(TokenServiceGetTokenResponseSchema, answer).length;
  const bareSocket = join(folder, "bare.sock");
  const bareGrpc = await startServer("bare_grpc_server.ts", [bareSocket, String(answerBytes)]);
  const callSocket = join(folder, "call.sock");
  const bareCalls = await startServer("bare_call_server.ts", [callSocket, "1", String(answerBytes)]);
  const barePort = await freePort();
  const bareConnect = await startServer("bare_connect_server.ts", [
    String(barePort),
    String(accessTokenBytes),
  ]);
  const request = requestOf(connectionId);
  const body = frameFile(folder, "request.bin", request);
  const jsonBody = join(folder, "request.json");
  writeFileSync(jsonBody, JSON.stringify({ connectionId }));
  const agentKey = await makeAgentKey(real.place, "bench-agent");
  const scrape = async (): Promise<void> => {
    await (await fetch(`${real.place.opsUrl}/metrics`)).text();
  };
  await scrape();
  const scraping = setInterval(() => void scrape().catch(() => undefined), scrapeEveryMs);
  return {
    grpc: { pid: ours.daemon.pid, target: `unix:${place.socket}`, body, headers: grpcHeaders },
    bareGrpc: { pid: bareGrpc.pid ?? 0, target: `unix:${bareSocket}`, body, headers: grpcHeaders },
    bareHttp2: { pid: bareCalls.pid ?? 0, target: `unix:${callSocket}`, body, headers: grpcHeaders },
    json: {
      pid: ours.daemon.pid,
      target: place.httpUrl,
      body: jsonBody,
      headers: [...jsonHeaders, `x-api-key: ${place.apiKey}`],
      http1: true,
    },
    bareJson: {
      pid: bareConnect.pid ?? 0,
      target: `http://127.0.0.1:${barePort}`,
      body: jsonBody,
      headers: jsonHeaders,
      http1: true,
    },
    real: {
      pid: real.daemon.pid,
      target: `unix:${real.place.socket}`,
      body: frameFile(folder, "real.bin", requestOf(real.connectionId)),
      headers: [...grpcHeaders, `x-api-key: ${agentKey}`],
    },
    sockets: { ours: place.socket, bare: bareSocket },
    request,
    end: async () => {
      clearInterval(scraping);
      bareGrpc.disconnect();
      bareCalls.disconnect();
      bareConnect.disconnect();
      for (const filled of [ours, real]) {
        await filled.daemon.kill("SIGTERM");
        rmSync(filled.place.config.dataDir, { recursive: true, force: true });
      }
    },
  };
}

/** A daemon with one connection. */
async function startFilled(policyText?: string): Promise<Filled> {
  const groups = [{ count: 1, dueAtMs: Date.now() + 7_200_000, accessTokenBytes }];
  const { place, ids } = await filledPlace(groups);
  const [[connectionId = ""] = []] = ids;
  const policyFile = join(place.config.dataDir, "policy.yaml");
  if (policyText !== undefined) writeFileSync(policyFile, policyText);
  const daemon = new DaemonProcess({
    ...place.environment,
    ...(policyText !== undefined && { NEXUS_POLICY_FILE: policyFile }),
  });
  await daemon.ready();
  return { place, daemon, connectionId };
}

/** An agent that may see the connections of `ada` at the provider `bench`. */
export async function makeAgentKey({ httpUrl, apiKey }: Place, name: string): Promise<string> {
  const transport = createConnectTransport({ baseUrl: httpUrl, httpVersion: "1.1" });
  const { key } = await createClient(AccessService, transport).createApiKey(
    { name, role: Role.AGENT, restriction: { userIds: ["ada"], providers: ["bench"] } },
    { headers: { "x-api-key": apiKey } },
  );
  return key;
}

function requestOf(connectionId: string): Uint8Array {
  return toBinary(
    TokenServiceGetTokenRequestSchema,
    create(TokenServiceGetTokenRequestSchema, { connectionId }),
  );
}

/** The message as gRPC sends it, in a file. */
function frameFile(folder: string, name: string, message: Uint8Array): string {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const file = join(folder, name);
  writeFileSync(file, Buffer.concat([prefix, message]));
  return file;
}
