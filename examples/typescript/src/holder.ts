import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type Duration, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Position,
  type Token,
  type TokenState,
  type WatchTokensRequest,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
} from "../gen/nexus/v1/token_pb.js";

/** One call of WatchTokens. It throws an error whose `code` is the status of gRPC, and ends when the signal aborts. */
export type WatchTokens = (
  request: WatchTokensRequest,
  signal: AbortSignal,
) => AsyncIterable<WatchTokensResponse>;

/** The daemon's own default. */
const bookmarkIntervalSeconds = 30;
/** A stream that carried nothing for so long is dead. */
const silenceMs = 3 * bookmarkIntervalSeconds * 1000;
const firstDelayMs = 100;
const longestDelayMs = 10_000;
/** INVALID_ARGUMENT, PERMISSION_DENIED, UNIMPLEMENTED and UNAUTHENTICATED are not fixed by another attempt. */
const permanentCodes: unknown[] = [3, 7, 12, 16];

/** The newest token of each connection, kept up to date by `watch`. */
export class Holder {
  #states = new Map<string, TokenState>();
  #position: Position | undefined;
  /** What a snapshot has named so far; undefined outside of one. */
  #named: Set<string> | undefined;

  /** What to use now, also while the daemon is away: undefined once it has expired, or when there is none. */
  token(connectionId: string): Token | undefined {
    const token = this.#states.get(connectionId)?.token;
    return token?.expiresAt && timestampMs(token.expiresAt) <= Date.now() ? undefined : token;
  }

  /** Yields every message, over as many streams as it takes. Throws what another attempt will not fix. */
  async *watch(watchTokens: WatchTokens, connectionIds: string[]): AsyncGenerator<WatchTokensResponse> {
    for (let failures = 0; ; failures++) {
      let delayMs: number | undefined;
      const call = new AbortController();
      const silence = setTimeout(() => call.abort(new Error("nothing came for too long")), silenceMs);
      this.#named = this.#position ? undefined : new Set();
      const request = create(WatchTokensRequestSchema, {
        connectionIds,
        position: this.#position,
        bookmarkInterval: { seconds: BigInt(bookmarkIntervalSeconds) },
      });
      try {
        for await (const message of watchTokens(request, call.signal)) {
          silence.refresh();
          failures = 0;
          this.#take(message);
          if (message.event.case === "drain") delayMs = millisecondsOf(message.event.value.reconnectDelay);
          yield message;
        }
        console.log("the daemon ended the stream");
      } catch (error) {
        if (permanentCodes.includes((error as { code?: unknown }).code)) throw error;
        console.log(`the stream broke off: ${(error as Error).message}`);
      } finally {
        clearTimeout(silence);
        call.abort();
      }
      delayMs ??= Math.random() * Math.min(longestDelayMs, firstDelayMs * 2 ** failures);
      await sleep(delayMs);
    }
  }

  #take({ event }: WatchTokensResponse): void {
    switch (event.case) {
      case "state":
        this.#states.set(event.value.connectionId, event.value);
        this.#named?.add(event.value.connectionId);
        break;
      case "removed":
        this.#states.delete(event.value.connectionId);
        break;
      case "reset":
        this.#position = undefined;
        this.#named = new Set();
        break;
      case "bookmark":
        for (const id of this.#named ? this.#states.keys() : []) {
          // The snapshot is complete: what it did not name is gone.
          if (!this.#named?.has(id)) this.#states.delete(id);
        }
        this.#position = event.value.position;
        this.#named = undefined;
        break;
    }
  }
}

function millisecondsOf(duration: Duration | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1e6 : 0;
}
