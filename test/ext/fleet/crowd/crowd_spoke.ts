import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect as connectTls, type SecureContext } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { ListProvidersRequestSchema } from "../../../../src/gen/nexus/v1/provider_pb.js";
import {
  type Position,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import { fullJitterMs } from "../../../../src/runtime/backoff.js";

/** That of `UpstreamFollower`. */
const backoff = { baseMs: 100, maxMs: 10_000 };
const host = "127.0.0.1";

export interface HeldToken {
  readonly revision: bigint;
  readonly expiresAtMs: number;
  /** When it came, by `nowMs`. */
  readonly atMs: number;
}

/** Connections that are being made: this process has one thread for all spokes, of which each has its own in real life. */
export class Starts {
  #free = 500;
  readonly #waiting: (() => void)[] = [];

  begin(start: () => void): void {
    if (this.#free === 0) this.#waiting.push(start);
    else {
      this.#free--;
      start();
    }
  }

  end(): void {
    this.#free++;
    const next = this.#waiting.shift();
    if (next) this.begin(next);
  }
}

/** What all spokes of a crowd share. */
export interface CrowdPlace {
  readonly starts: Starts;
  readonly ports: readonly number[];
  readonly secureContext: SecureContext;
  readonly counts: CrowdCounts;
}

/** What happened to all spokes together. */
export interface CrowdCounts {
  /** Streams that began without a position, and with one. */
  snapshots: number;
  resumes: number;
  /** Streams that were told to begin anew. */
  resets: number;
  /** States older than what was held. */
  backwards: number;
  /** How connections and streams ended, by their words. */
  readonly ends: Record<string, number>;
}

/** Milliseconds of a clock that all processes of this machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * A spoke as its hub sees it: a connection, an address and an identity of its own, the list of profiles, and then the stream. It comes back as
 * `UpstreamFollower` does, to another hub, with full jitter up to 10 s and the last bookmark.
 */
export class CrowdSpoke {
  readonly tokens = new Map<string, HeldToken>();
  /** When it had the first bookmark of its present stream. */
  wholeAtMs: number | undefined;
  #position: Position | undefined;
  #session: ClientHttp2Session | undefined;
  #failures = 0;
  #hub = 0;

  /** @param index a number of its own, which decides its address and to which hub it goes when one is gone */
  constructor(
    private readonly place: CrowdPlace,
    private readonly token: string,
    private readonly index: number,
  ) {}

  open(): void {
    this.place.starts.begin(() => this.#open());
  }

  #open(): void {
    const { ports, secureContext } = this.place;
    const port = ports[this.#hub % ports.length] ?? 0;
    const localAddress = `127.1.${this.index >> 8}.${this.index & 255}`;
    const to = { host, port, localAddress, secureContext, ALPNProtocols: ["h2"] };
    const session = connectHttp2(`https://${host}:${port}`, { createConnection: () => connectTls(to) });
    this.#session = session;
    const ended = (error?: Error & { code?: string }): void =>
      this.#ended(session, error?.code ?? error?.message ?? "closed");
    session.on("error", ended).on("close", ended);
    session.once("connect", () => {
      const request = toBinary(ListProvidersRequestSchema, create(ListProvidersRequestSchema));
      const listed = this.#call(session, "ProviderService/ListProviders", request);
      listed.on("error", ended).resume();
      listed.on("end", () => {
        if (session.destroyed || session.closed) ended();
        else if (this.#session === session) this.#watch(session, ended);
      });
    });
  }

  #call(session: ClientHttp2Session, path: string, message: Uint8Array): ClientHttp2Stream {
    const stream = session.request({
      ":method": "POST",
      ":path": `/nexus.v1.${path}`,
      "content-type": "application/grpc",
      authorization: `Bearer ${this.token}`,
      te: "trailers",
    });
    stream.end(encodeEnvelope(0, message));
    return stream;
  }

  #watch(session: ClientHttp2Session, ended: (error?: Error) => void): void {
    const position = this.#position;
    this.place.counts[position ? "resumes" : "snapshots"]++;
    const request = create(WatchTokensRequestSchema, position ? { position } : {});
    const message = toBinary(WatchTokensRequestSchema, request);
    const stream = this.#call(session, "TokenService/WatchTokens", message);
    let status = "no trailers";
    stream.on("trailers", (trailers) => {
      status = `grpc-status ${trailers["grpc-status"]}`;
    });
    stream.on("error", ended).on("end", () => ended(new Error(status)));
    let rest = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        this.#take(session, fromBinary(WatchTokensResponseSchema, rest.subarray(5, end)));
        rest = rest.subarray(end);
      }
    });
  }

  #take(session: ClientHttp2Session, { event }: WatchTokensResponse): void {
    if (this.#session !== session) return;
    if (event.case === "state") {
      const { connectionId, revision, token } = event.value;
      if (revision < (this.tokens.get(connectionId)?.revision ?? 0n)) this.place.counts.backwards++;
      const expiresAtMs = token?.expiresAt && timestampMs(token.expiresAt);
      if (expiresAtMs === undefined) this.tokens.delete(connectionId);
      else this.tokens.set(connectionId, { revision, expiresAtMs, atMs: nowMs() });
    } else if (event.case === "removed") this.tokens.delete(event.value.connectionId);
    else if (event.case === "reset") {
      this.place.counts.resets++;
      this.#position = undefined;
    } else if (event.case === "drain") {
      const { reconnectDelay } = event.value;
      this.#ended(session, "drain", reconnectDelay ? durationMs(reconnectDelay) : 0);
    } else if (event.case === "bookmark") {
      this.#position = event.value.position;
      this.#failures = 0;
      if (this.wholeAtMs === undefined) this.place.starts.end();
      this.wholeAtMs ??= nowMs();
    }
  }

  #ended(session: ClientHttp2Session, why: string, waitMs?: number): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    if (this.wholeAtMs === undefined) this.place.starts.end();
    this.wholeAtMs = undefined;
    const { ends } = this.place.counts;
    ends[why] = (ends[why] ?? 0) + 1;
    session.destroy();
    this.#failures++;
    this.#hub += 1 + (this.index % 2);
    setTimeout(() => this.open(), waitMs ?? fullJitterMs(backoff, this.#failures, Math.random()));
  }
}
