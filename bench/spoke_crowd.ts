/**
 * `spoke_crowd.ts COUNT PORT KEY`: as many spokes as seen by their hub, each with a connection and a stream of its own, in one process. They come
 * back as `UpstreamFollower` does: full jitter up to 10 s, from the last bookmark. Says `whole` whenever each has had a bookmark on its
 * present stream, and on the message `{ revision }` answers `{ receivedNs }` once each has that revision.
 */
import { type ClientHttp2Session, connect } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Position,
  WatchTokensRequestSchema,
  WatchTokensResponseSchema,
} from "../src/gen/nexus/v1/token_pb.js";
import { fullJitterMs } from "../src/runtime/backoff.js";

const [count = "1", port = "", key = ""] = process.argv.slice(2);
const backoff = { baseMs: 100, maxMs: 10_000 };
let whole = 0;
let expected = Number.POSITIVE_INFINITY;
let received = 0;

class Spoke {
  #position: Position | undefined;
  #session: ClientHttp2Session | undefined;
  #isWhole = false;
  #failures = 0;
  revision = 0;

  open(): void {
    const session = connect(`http://127.0.0.1:${port}`);
    this.#session = session;
    session.on("error", () => this.#ended(session));
    session.on("close", () => this.#ended(session));
    const stream = session.request({
      ":method": "POST",
      ":path": "/nexus.v1.TokenService/WatchTokens",
      "content-type": "application/grpc",
      authorization: `Bearer ${key}`,
      te: "trailers",
    });
    stream.on("error", () => this.#ended(session));
    stream.on("end", () => this.#ended(session));
    let rest = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
        const end = 5 + rest.readUInt32BE(1);
        this.#take(rest.subarray(5, end));
        rest = rest.subarray(end);
      }
    });
    const position = this.#position;
    const request = create(WatchTokensRequestSchema, position ? { position } : {});
    const message = toBinary(WatchTokensRequestSchema, request);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.end(Buffer.concat([prefix, message]));
  }

  #take(bytes: Buffer): void {
    const { event } = fromBinary(WatchTokensResponseSchema, bytes);
    this.#failures = 0;
    if (event.case === "state") {
      const before = this.revision;
      this.revision = Number(event.value.revision);
      if (before < expected && this.revision >= expected && ++received === spokes.length)
        process.send?.({ receivedNs: process.hrtime.bigint().toString() });
    } else if (event.case === "bookmark") {
      this.#position = event.value.position;
      if (this.#isWhole) return;
      this.#isWhole = true;
      if (++whole === spokes.length) process.send?.("whole");
    }
  }

  #ended(session: ClientHttp2Session): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    session.destroy();
    if (this.#isWhole) whole--;
    this.#isWhole = false;
    this.#failures++;
    setTimeout(() => this.open(), fullJitterMs(backoff, this.#failures, Math.random()));
  }
}

const spokes = Array.from({ length: Number(count) }, () => new Spoke());
process.on("message", ({ revision }: { revision: number }) => {
  expected = revision;
  received = 0;
  process.send?.("armed");
});
process.once("disconnect", () => process.exit(0));
for (const spoke of spokes) spoke.open();
