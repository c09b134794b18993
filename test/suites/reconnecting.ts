import type { ServerHttp2Stream } from "node:http2";
import { buffer } from "node:stream/consumers";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { WatchTokensRequestSchema, WatchTokensResponseSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { playStandIn } from "../interop/stand_in.js";
import type { Language } from "./languages.js";

type Message = MessageInitShape<typeof WatchTokensResponseSchema>;

/** Attempts that are answered with `UNAVAILABLE`. */
const failures = 7;
/** Attempts after them that are answered with a message before that: a count that goes on waits 10 s at most for each. */
const messages = 3;
/** What a laden machine may add to all waits together, besides what this process itself is late. */
const slackMs = 5_000;
const tickMs = 20;
const drainMs = 1_500;
const revision = 7n;

/** An attempt to open a stream: when, and from where it wants to resume. */
export interface Attempt {
  readonly atMs: number;
  /** How late a timer of this process was, added up: with other work on its hands, it sees an attempt after it was made. */
  readonly behindMs: number;
  readonly revision: bigint | undefined;
}

/** Holds an agent against the rules in the comment of `WatchTokens`, see `judge`. */
export async function checkReconnecting(language: Language): Promise<void> {
  const attempts = await playStandIn<Attempt[]>(language, 120, "it holds a stream again", (_, done) =>
    failing((_stream, made) => done(made)),
  );
  judge(attempts);
}

/**
 * Answers calls of WatchTokens: `failures` times with `UNAVAILABLE`, then `messages` times after a message, then with a drain.
 *
 * @param done is given the stream of the attempt after that, which is not answered, and all attempts
 */
export function failing(
  done: (stream: ServerHttp2Stream, attempts: Attempt[]) => void,
): (stream: ServerHttp2Stream) => void {
  const made: Attempt[] = [];
  let [pastMs, tickAtMs] = [0, performance.now() + tickMs];
  const behindMs = () => pastMs + Math.max(0, performance.now() - tickAtMs);
  const ticking = setInterval(() => {
    pastMs = behindMs();
    tickAtMs = performance.now() + tickMs;
  }, tickMs).unref();
  const answer = async (stream: ServerHttp2Stream): Promise<void> => {
    const seen = { atMs: performance.now(), behindMs: behindMs() };
    stream.on("error", () => undefined);
    const request = fromBinary(WatchTokensRequestSchema, (await buffer(stream)).subarray(5));
    const attempt = made.push({ ...seen, revision: request.position?.revision });
    if (attempt <= failures) end(stream, "14");
    else if (attempt <= failures + messages) end(stream, "14", bookmark);
    else if (attempt === failures + messages + 1) end(stream, "0", drain);
    else {
      clearInterval(ticking);
      done(stream, made);
    }
  };
  return (stream) => void answer(stream);
}

const bookmark: Message = {
  event: { case: "bookmark", value: { position: { epoch: "e", revision } } },
};
const drain: Message = {
  event: {
    case: "drain",
    value: { reconnectDelay: { seconds: BigInt(Math.floor(drainMs / 1000)), nanos: (drainMs % 1000) * 1e6 } },
  },
};

/**
 * The backoff with full jitter under its bound, the count anew after the first message, the delay that a drain asks for, the position
 * of the last bookmark.
 *
 * @throws Error for a rule that was broken
 */
export function judge(attempts: readonly Attempt[]): void {
  const between = (of: (attempt: Attempt) => number) =>
    attempts.slice(1).map((attempt, index) => Math.round(of(attempt) - of(attempts[index] ?? attempt)));
  const gaps = between(({ atMs }) => atMs);
  const behind = between(({ behindMs }) => behindMs);
  const longest = [
    ...Array.from({ length: failures }, (_, n) => Math.min(10_000, 100 * 2 ** n)),
    ...Array.from({ length: messages }, () => 100),
    drainMs,
  ];
  const words = `the attempts came after ${gaps.join(", ")} ms, and may after ${longest.join(", ")}; the test was ${behind.join(", ")} ms late`;
  const lateMs = gaps.map((gap, index) => Math.max(0, gap - (longest[index] ?? 0) - (behind[index] ?? 0)));
  const sum = (of: readonly number[]) => of.reduce((total, ms) => total + ms, 0);
  if (sum(lateMs) > slackMs) throw new Error(`it waits too long: ${words}`);
  // All of them below this together is less likely than one in a million.
  if (sum(gaps.slice(0, failures)) < 300) throw new Error(`it does not back off: ${words}`);
  if ((gaps.at(-1) ?? 0) < drainMs - 50) throw new Error(`it does not wait as the drain says: ${words}`);
  const positions = attempts.map((attempt) => attempt.revision);
  const expected = positions.map((_, index) => (index <= failures ? undefined : revision));
  if (positions.join() !== expected.join()) throw new Error(`it resumes from ${positions.join()}`);
}

function end(stream: ServerHttp2Stream, status: string, message?: Message): void {
  answerCall(
    stream,
    status,
    message && toBinary(WatchTokensResponseSchema, create(WatchTokensResponseSchema, message)),
  );
}

/** Ends a call of gRPC. @param status the number of the code */
export function answerCall(stream: ServerHttp2Stream, status: string, message?: Uint8Array): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
  if (message) stream.write(encodeEnvelope(0, message));
  stream.end();
}
