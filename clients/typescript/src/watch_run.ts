import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { millisecondsOf } from "./error_mapping.js";
import type { ConnectionName } from "./gen/nexus/v1/connection_pb.js";
import {
  type Position,
  type WatchTokensRequest,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
} from "./gen/nexus/v1/token_pb.js";
import { type Clock, delay, setDeadline } from "./strategies/clock.js";
import type { TokenCache } from "./token_cache.js";

const bookmarkIntervalMs = 10_000;
/** A stream that carried nothing for so long is dead (rule 6). */
const silenceMs = 3 * bookmarkIntervalMs;
const firstDelayMs = 100;
const longestDelayMs = 10_000;
/** Another attempt gets the same answer (rule 5). */
const permanentCodes: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.Unimplemented,
]);

/** One call of WatchTokens. */
export type WatchTokens = (
  request: WatchTokensRequest,
  signal: AbortSignal,
) => AsyncIterable<WatchTokensResponse>;

/** The stream of the names that the cache had at its start, over as many calls as it takes, by the rules in the comment of `WatchTokens`. */
export class WatchRun {
  readonly #end = new AbortController();
  #position: Position | undefined;
  /** Ids that the snapshot has named so far; undefined outside of one. */
  #named: Set<string> | undefined;
  #openedMs = 0;
  readonly #names: readonly ConnectionName[];
  #isLive = false;

  constructor(
    private readonly deps: {
      readonly clock: Clock;
      readonly cache: TokenCache;
      readonly watchTokens: WatchTokens;
    },
    /** Called with each message. */
    private readonly onMessage: () => void,
  ) {
    this.#names = deps.cache.names().map(({ message }) => message);
  }

  /** Whether messages come, and the snapshot is whole. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** @returns whether the stream was refused for good, and not ended */
  async run(): Promise<boolean> {
    for (let failures = 0; !this.#end.signal.aborted; failures++) {
      let delayMs: number | undefined;
      const call = new AbortController();
      const abort = (): void => call.abort();
      this.#end.signal.addEventListener("abort", abort, { once: true });
      let silence = setDeadline(this.deps.clock, silenceMs, abort);
      this.#named = this.#position ? undefined : new Set();
      this.#openedMs = this.deps.clock.monotonicMs();
      try {
        for await (const message of this.deps.watchTokens(this.#request(), call.signal)) {
          silence.cancel();
          silence = setDeadline(this.deps.clock, silenceMs, abort);
          failures = 0;
          if (this.#end.signal.aborted) return false;
          this.onMessage();
          this.#take(message);
          const { event } = message;
          if (event.case === "drain")
            delayMs = event.value.reconnectDelay && millisecondsOf(event.value.reconnectDelay);
        }
      } catch (error) {
        if (permanentCodes.has(ConnectError.from(error).code)) return true;
      } finally {
        this.#isLive = false;
        silence.cancel();
        this.#end.signal.removeEventListener("abort", abort);
        call.abort();
      }
      delayMs ??= Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
      await delay(this.deps.clock, delayMs, this.#end.signal);
    }
    return false;
  }

  end(): void {
    this.#isLive = false;
    this.#end.abort();
  }

  #request(): WatchTokensRequest {
    return create(WatchTokensRequestSchema, {
      names: [...this.#names],
      ...(this.#position ? { position: this.#position } : {}),
      bookmarkInterval: { seconds: BigInt(bookmarkIntervalMs / 1000) },
    });
  }

  #take(message: WatchTokensResponse): void {
    const { event } = message;
    this.deps.cache.take(message);
    switch (event.case) {
      case "state":
        this.#named?.add(event.value.connectionId);
        break;
      case "reset":
        this.#position = undefined;
        this.#named = new Set();
        this.#isLive = false;
        break;
      case "bookmark":
        if (this.#named) this.deps.cache.endSnapshot(this.#named, this.#openedMs);
        this.#named = undefined;
        this.#position = event.value.position;
        this.#isLive = true;
        break;
    }
  }
}
