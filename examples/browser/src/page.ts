/**
 * A page that shows each connection as it is now: it keeps WatchTokens open, whatever happens to the daemon. It follows
 * the rules for clients in the comment of WatchTokens (proto/nexus/v1/token.proto).
 */
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { ConnectionStatus } from "../gen/nexus/v1/connection_pb.js";
import {
  type Position,
  TokenService,
  type TokenState,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
} from "../gen/nexus/v1/token_pb.js";

const bookmarkIntervalSeconds = 30;
/** A stream that carried nothing for so long is dead. */
const silenceMs = 3 * bookmarkIntervalSeconds * 1000;
const firstDelayMs = 100;
const longestDelayMs = 10_000;
/** What is not fixed by another attempt. */
const permanentCodes = [
  Code.InvalidArgument,
  Code.PermissionDenied,
  Code.Unimplemented,
  Code.Unauthenticated,
];

/** `?protocol=grpc-web` for gRPC-Web, else Connect: the page's own server passes either on to the daemon. */
const isGrpcWeb = new URLSearchParams(location.search).get("protocol") === "grpc-web";
const createTransport = isGrpcWeb ? createGrpcWebTransport : createConnectTransport;
const client = createClient(TokenService, createTransport({ baseUrl: location.origin }));

const states = new Map<string, TokenState>();
let position: Position | undefined;
/** What a snapshot has named so far; undefined outside of one. */
let named: Set<string> | undefined;

async function watch(): Promise<void> {
  for (let failures = 0; ; failures++) {
    let delayMs: number | undefined;
    const call = new AbortController();
    const silence = () => call.abort(new Error("nothing came for too long"));
    let timer = setTimeout(silence, silenceMs);
    named = position ? undefined : new Set();
    const request = create(WatchTokensRequestSchema, {
      position,
      bookmarkInterval: { seconds: BigInt(bookmarkIntervalSeconds) },
    });
    try {
      for await (const message of client.watchTokens(request, { signal: call.signal })) {
        clearTimeout(timer);
        timer = setTimeout(silence, silenceMs);
        failures = 0;
        take(message);
        const { event } = message;
        if (event.case === "drain" && event.value.reconnectDelay) {
          delayMs = durationMs(event.value.reconnectDelay);
        }
        show(event.case === "drain" ? "the daemon says goodbye" : "connected");
      }
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (permanentCodes.includes(code)) return show(`refused: ${rawMessage}`);
    } finally {
      clearTimeout(timer);
      call.abort();
    }
    show("disconnected");
    delayMs ??= Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

function take({ event }: WatchTokensResponse): void {
  switch (event.case) {
    case "state":
      states.set(event.value.connectionId, event.value);
      named?.add(event.value.connectionId);
      break;
    case "removed":
      states.delete(event.value.connectionId);
      break;
    case "reset":
      position = undefined;
      named = new Set();
      break;
    case "bookmark":
      for (const id of named ? states.keys() : []) if (!named?.has(id)) states.delete(id);
      position = event.value.position;
      named = undefined;
      break;
  }
}

/** A page shows no token: what uses it, uses it in the background. */
function show(stream: string): void {
  const lines = [...states.values()].map(({ connectionId, providerName, status, revision }) => {
    const line = document.createElement("li");
    line.id = connectionId;
    line.textContent = `${providerName} ${ConnectionStatus[status].toLowerCase()}, revision ${revision}`;
    return line;
  });
  document.querySelector("#connections")?.replaceChildren(...lines);
  const status = document.querySelector("#stream");
  if (status) status.textContent = stream;
}

await watch();
