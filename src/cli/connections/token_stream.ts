import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { Position, TokenService, WatchTokensResponse } from "../../gen/nexus/v1/token_pb.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { type Backoff, fullJitterMs } from "../../runtime/backoff.js";
import { type Clock, delay, type Timer } from "../../runtime/clock.js";
import { isNotReachable, isOtherProtocol } from "../shell/call_failure.js";
import { durationMsOf } from "../shell/option_values.js";

/** What `WatchTokens` says about connecting again. */
const backoff: Backoff = { baseMs: 100, maxMs: 10_000 };
const deadAfterIntervals = 3;
const permanentCodes: readonly Code[] = [
  Code.InvalidArgument,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.Unimplemented,
];

export interface TokenStreamOptions {
  readonly tokens: Pick<Client<typeof TokenService>, "watchTokens">;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly connectionIds: readonly string[];
  /** Besides the ids: whatever connections have these names, now and later. */
  readonly names?: readonly ConnectionName[];
  /** Empty means all users. */
  readonly userId: string;
  /** 5 to 120 seconds. */
  readonly bookmarkIntervalMs: number;
  /** Called before each wait; `cause` is undefined when the daemon ended the stream itself. */
  readonly onInterrupted: (waitMs: number, cause: ConnectError | undefined) => void;
}

/**
 * The messages of `WatchTokens` over as many streams as it takes, each resumed where the one before ended. It ends only
 * by the reader.
 *
 * @throws ConnectError that another attempt will not fix: a permanent code, or no daemon at the first attempt, or one that does not speak gRPC
 */
export async function* readTokenStream(options: TokenStreamOptions): AsyncGenerator<WatchTokensResponse> {
  let position: Position | undefined;
  let failures = 0;
  let hasReceived = false;
  for (;;) {
    let drainMs: number | undefined;
    let cause: ConnectError | undefined;
    const silence = new SilenceGuard(options.clock, deadAfterIntervals * options.bookmarkIntervalMs);
    try {
      const messages = options.tokens.watchTokens(request(options, position), { signal: silence.signal });
      for await (const message of messages) {
        silence.received();
        hasReceived = true;
        failures = 0;
        const { event } = message;
        if (event.case === "bookmark") position = event.value.position;
        if (event.case === "reset") position = undefined;
        if (event.case === "drain") drainMs = durationMsOf(event.value.reconnectDelay);
        yield message;
      }
    } catch (error) {
      cause = ConnectError.from(error);
      const isFirst = !hasReceived && (isNotReachable(cause) || isOtherProtocol(cause));
      if (isFirst || permanentCodes.includes(cause.code)) throw cause;
    } finally {
      silence.end();
    }
    failures += 1;
    const waitMs = drainMs ?? fullJitterMs(backoff, failures, options.random());
    options.onInterrupted(waitMs, cause);
    await delay(options.clock, waitMs);
  }
}

function request(options: TokenStreamOptions, position: Position | undefined) {
  return {
    connectionIds: [...options.connectionIds],
    names: [...(options.names ?? [])],
    userId: options.userId,
    bookmarkInterval: durationFromMs(options.bookmarkIntervalMs),
    ...(position ? { position } : {}),
  };
}

/** Ends a stream that carried nothing for too long, and every stream that is no longer read. */
class SilenceGuard {
  readonly #abort = new AbortController();
  #timer: Timer;

  constructor(
    private readonly clock: Clock,
    private readonly limitMs: number,
  ) {
    this.#timer = this.#arm();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  received(): void {
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  end(): void {
    this.#timer.cancel();
    this.#abort.abort();
  }

  #arm(): Timer {
    return this.clock.setTimer(this.limitMs, () => this.#abort.abort());
  }
}
