/** An agent with @grpc/grpc-js. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import {
  TokenService,
  type WatchTokensRequest,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../gen/nexus/v1/token_pb.js";
import { main } from "./agent.js";

const path = `/${TokenService.typeName}/${TokenService.method.watchTokens.name}`;
const serialize = (request: WatchTokensRequest) => Buffer.from(toBinary(WatchTokensRequestSchema, request));
const deserialize = (bytes: Buffer) => fromBinary(WatchTokensResponseSchema, bytes);

await main((address, apiKey) => {
  const target = address.replace(/^http:\/\//, "").replace(/\/$/, "");
  // While no connection can be had, a call that waits for one is subject to this backoff. By default it grows to two minutes.
  const client = new Client(target, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 10_000,
  });
  const metadata = new Metadata({ waitForReady: true });
  if (apiKey !== undefined) metadata.set("authorization", `Bearer ${apiKey}`);
  return async function* (request, signal) {
    const call = client.makeServerStreamRequest(path, serialize, deserialize, request, metadata);
    signal.addEventListener("abort", () => call.cancel(), { once: true });
    for await (const message of call) yield message as WatchTokensResponse;
  };
});
