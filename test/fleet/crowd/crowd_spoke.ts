import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { connect as connectTls, type SecureContext } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { ListProvidersRequestSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import {
  type Position,
  WatchTokensRequestSchema,
  WatchTokensResponseSchema,
} from "../../../src/gen/nexus/v1/token_pb.js";
import { fullJitterMs } from "../../../src/runtime/backoff.js";

/** That of `UpstreamFollower`. */
const backoff = { baseMs: 100, maxMs: 10_000 };

export interface HeldToken {
  revision: bigint;
  /** Undefined: without an end. */
  expiresAtMs: number | undefined;
}

/** What all spokes of a crowd share. */
export interface CrowdPlace {
  /** Ports on this machine. */
  readonly ports: readonly number[];
  /** Of the listener's certificate; undefined: plain text. */
  readonly secureContext: SecureContext | undefined;
  readonly counts: CrowdCounts;
  onWhole(spoke: CrowdSpoke): void;
  onCut(spoke: CrowdSpoke): void;
  onState(spoke: CrowdSpoke, connectionId: string): void;
}

/** What happened to all spokes together. */
export interface CrowdCounts {
  /** Connections that were tried. */
  attempts: number;
  /** Streams that began without a position. */
  snapshots: number;
  /** Streams that were told to begin anew. */
  resets: number;
  /** Messages with a state. */
  states: number;
  /** How connections and streams ended, by their words. */
  readonly ends: Record<string, number>;
}

/**
 * A spoke as its hub sees it: a connection of its own, the list of profiles, and then the stream. It comes back as `UpstreamFollower` does, with the
 * next hub, full jitter up to 10 s and the last bookmark.
 */
export class CrowdSpoke {
  readonly tokens = new Map<string, HeldToken>();
  /** Whether it has had a bookmark on its present stream. */
  isWhole = false;
  #position: Position | undefined;
  #session: ClientHttp2Session | undefined;
  #failures = 0;

  constructor(
    private readonly place: CrowdPlace,
    private readonly key: string,
    private hub: number,
  ) {}

  open(): void {
    // It was moved while it waited.
    if (this.#session) return;
    const { counts } = this.place;
    counts.attempts++;
    const session = this.#connect();
    this.#session = session;
    const ended = (error?: Error & { code?: string }): void =>
      this.#ended(session, error?.code ?? error?.message ?? "closed");
    session.on("error", ended);
    session.on("close", ended);
    session.once("connect", () => {
      const request = toBinary(ListProvidersRequestSchema, create(ListProvidersRequestSchema));
      const listed = this.#call(session, "ProviderService/ListProviders", request);
      listed.on("error", ended);
      listed.resume();
      listed.on("end", () => {
        if (session.destroyed) ended();
        else if (this.#session === session) this.#watch(session, ended);
      });
    });
  }

  /** Leaves its hub and comes back to another one, at once. */
  moveTo(hub: number): void {
    const session = this.#session;
    this.#session = undefined;
    this.#cut();
    session?.destroy();
    this.hub = hub;
    this.#failures = 0;
    this.open();
  }

  /** Whether it holds a token that has ended. */
  lapsed(nowMs: number): string[] {
    const lapsed: string[] = [];
    for (const [connectionId, { expiresAtMs }] of this.tokens) {
      if (expiresAtMs !== undefined && expiresAtMs <= nowMs) lapsed.push(connectionId);
    }
    return lapsed;
  }

  #connect(): ClientHttp2Session {
    const { ports, secureContext } = this.place;
    const port = ports[this.hub % ports.length] ?? 0;
    const host = "127.0.0.1";
    return connectHttp2(`${secureContext ? "https" : "http"}://${host}:${port}`, {
      createConnection: () =>
        secureContext
          ? connectTls({ host, port, secureContext, ALPNProtocols: ["h2"] })
          : connectTcp({ host, port }),
    });
  }

  #call(session: ClientHttp2Session, path: string, message: Uint8Array) {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: `/nexus.v1.${path}`,
      "content-type": "application/grpc",
      authorization: `Bearer ${this.key}`,
      te: "trailers",
    });
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
    return stream;
  }

  #watch(session: ClientHttp2Session, ended: (error?: Error) => void): void {
    const position = this.#position;
    if (!position) this.place.counts.snapshots++;
    const request = create(WatchTokensRequestSchema, position ? { position } : {});
    const message = toBinary(WatchTokensRequestSchema, request);
    const stream = this.#call(session, "TokenService/WatchTokens", message);
    stream.on("error", ended);
    let status = "";
    stream.on("trailers", (trailers) => {
      status = `grpc-status ${trailers["grpc-status"]}`;
    });
    stream.on("end", () => ended(status === "" ? undefined : new Error(status)));
    let rest = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        this.#take(session, rest.subarray(5, end));
        rest = rest.subarray(end);
      }
    });
  }

  #take(session: ClientHttp2Session, bytes: Buffer): void {
    if (this.#session !== session) return;
    const { event } = fromBinary(WatchTokensResponseSchema, bytes);
    this.#failures = 0;
    if (event.case === "state") {
      const { connectionId, revision, token } = event.value;
      this.place.counts.states++;
      if (token) {
        const expiresAtMs = token.expiresAt && timestampMs(token.expiresAt);
        this.tokens.set(connectionId, { revision, expiresAtMs });
      } else this.tokens.delete(connectionId);
      this.place.onState(this, connectionId);
    } else if (event.case === "removed") this.tokens.delete(event.value.connectionId);
    else if (event.case === "reset") {
      this.place.counts.resets++;
      this.#position = undefined;
    } else if (event.case === "drain") {
      const { reconnectDelay } = event.value;
      this.#ended(session, "drain", reconnectDelay ? durationMs(reconnectDelay) : 0);
    } else if (event.case === "bookmark") {
      this.#position = event.value.position;
      if (this.isWhole) return;
      this.isWhole = true;
      this.place.onWhole(this);
    }
  }

  #ended(session: ClientHttp2Session, why: string, waitMs?: number): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    const { ends } = this.place.counts;
    ends[why] = (ends[why] ?? 0) + 1;
    session.destroy();
    this.#cut();
    this.#failures++;
    this.hub++;
    setTimeout(() => this.open(), waitMs ?? fullJitterMs(backoff, this.#failures, Math.random()));
  }

  #cut(): void {
    if (!this.isWhole) return;
    this.isWhole = false;
    this.place.onCut(this);
  }
}
