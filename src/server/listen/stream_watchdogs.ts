import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import { edgePolicy } from "../../model/edge_policy.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { Clock, Timer } from "../../runtime/clock.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";
import { addressKey } from "../sockets/socket_guard.js";
import { isUnauthenticated } from "../sockets/socket_notes.js";
import { isHttp2, type Response } from "./http_message.js";
import type { ListenerLimits } from "./listener_limits.js";

/** How long a stream waits for a client that does not read what was sent. */
export interface ReadDeadline {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/**
 * Resets a stream in the next turn. Within a callback of its session Node would send at once, and free streams that the parser still
 * uses (nodejs/node#64113).
 */
export function closeStream(stream: ServerHttp2Stream, code: number): void {
  setImmediate(() => {
    if (!stream.destroyed) stream.close(code);
  });
}

/** Ends a session and its streams in the next turn, as `closeStream`. */
export function cutOff(session: Http2Session): void {
  setImmediate(() => {
    if (!session.destroyed) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });
}

/** `ENHANCE_YOUR_CALM`, which gRPC clients read as RESOURCE_EXHAUSTED; what waits to be sent is dropped. */
export function resetStream(stream: ServerHttp2Stream): void {
  closeStream(stream, constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** The last catch of a call that can be answered no more: `INTERNAL_ERROR`, which gRPC clients read as INTERNAL. Never throws. */
export function breakStream(stream: ServerHttp2Stream): void {
  closeStream(stream, constants.NGHTTP2_INTERNAL_ERROR);
}

export function resetResponse(response: Response): void {
  if (isHttp2(response)) resetStream(response.stream);
  else response.destroy();
}

/** Cuts off connections that open streams to reset them at once (CVE-2023-44487), before they cost more than their opening. */
export class ResetGuard {
  readonly #resets = new RateLimiter(edgePolicy.resets);

  watch(stream: ServerHttp2Stream): void {
    stream.once("close", () => this.closed(stream));
  }

  /** For a stream that somebody else watches. */
  closed(stream: ServerHttp2Stream): void {
    const { session } = stream;
    if (stream.headersSent || stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
    // When the connection itself is gone it took back nothing.
    if (!session || session.destroyed) return;
    const key = addressKey(session.socket.remoteAddress) ?? "unix";
    if (!this.#resets.take(key)) cutOff(session);
  }
}

/**
 * The streams of callers without a valid credential, at one listening address. They are few over all connections, and short, so that
 * responses which their callers do not read hold little memory.
 */
export class UnauthenticatedStreams {
  #open = 0;
  /** How many of them a session has. */
  readonly #ofSession = new WeakMap<Http2Session, number>();

  constructor(
    private readonly max: number,
    private readonly clock: Clock | undefined,
  ) {}

  /** @returns false when there are as many as may be, and then the stream was reset */
  take(stream: ServerHttp2Stream): boolean {
    if (stream.destroyed || stream.closed) return true;
    const { session } = stream;
    if (this.#open >= this.max) {
      resetStream(stream);
      this.#cutOff(session);
      return false;
    }
    this.#count(session, 1);
    const timer = this.clock?.setTimer(edgePolicy.unauthenticatedStreams.readMs, () => resetStream(stream));
    stream.once("close", () => {
      this.#count(session, -1);
      timer?.cancel();
    });
    return true;
  }

  /** A session takes more memory than its streams: one without a credential that gets no answer is not kept either. */
  #cutOff(session: Http2Session | undefined): void {
    if (!session || session.destroyed || (this.#ofSession.get(session) ?? 0) > 0) return;
    if (isUnauthenticated(session.socket)) cutOff(session);
  }

  #count(session: Http2Session | undefined, by: 1 | -1): void {
    this.#open += by;
    if (session) this.#ofSession.set(session, (this.#ofSession.get(session) ?? 0) + by);
  }
}

/**
 * The answers of one listening address that their clients do not read. An answer that was given whole and is still not sent after
 * `streamReadTimeoutMs`, and at most a quarter of it more, is reset; over HTTP/1.1 its connection is closed. One timer serves them all.
 */
export class UnreadAnswers {
  /** Since when each waits to be read, in milliseconds of the monotonic clock; undefined before it was given whole. */
  readonly #open = new Map<Response, number | undefined>();
  readonly #clock: Clock | undefined;
  readonly #timeoutMs: number;
  #timer: Timer | undefined;

  /** @param bounds without them answers wait for ever */
  constructor(bounds: ListenerLimits | undefined) {
    this.#clock = bounds?.clock;
    this.#timeoutMs = bounds?.limits.streamReadTimeoutMs ?? 0;
  }

  watch(response: Response): void {
    if (!this.#clock) return;
    this.#open.set(response, undefined);
    response.once("close", () => this.#open.delete(response));
    this.#timer ??= this.#lookLater(this.#clock);
  }

  #lookLater(clock: Clock): Timer {
    return clock.setTimer(this.#timeoutMs / edgePolicy.unreadLooksPerTimeout, () => {
      const nowMs = clock.monotonicMs();
      for (const [response, sinceMs] of this.#open) {
        if (!isWaiting(response)) continue;
        if (sinceMs === undefined) this.#open.set(response, nowMs);
        else if (nowMs - sinceMs >= this.#timeoutMs) resetResponse(response);
      }
      this.#timer = this.#open.size === 0 ? undefined : this.#lookLater(clock);
    });
  }
}

/** An answer behind another one on its connection (HTTP/1.1 pipelining) has no socket yet, and waits for the daemon. */
function isWaiting(response: Response): boolean {
  return response.writableEnded && (isHttp2(response) || response.socket !== null);
}

/** The calls of callers who are nobody, at all addresses together. */
export class OpenCalls {
  readonly #max: number;
  #open = 0;

  constructor({ maxStreams }: Limits) {
    this.#max = Math.max(1, Math.floor(maxStreams * edgePolicy.unauthenticatedStreams.openShare));
  }

  /** Counts a call until its stream is gone. @returns the refusal when there are as many as may be */
  take(stream: ServerHttp2Stream): ResourceExhausted | undefined {
    if (stream.closed) return undefined;
    if (this.#open >= this.#max) {
      const what = "calls of callers without a credential";
      return new ResourceExhausted("TOO_MANY_STREAMS", {
        ...{
          what,
          limit: this.#max,
          unit: "at a time, a fiftieth of all streams",
          setting: "NEXUS_MAX_STREAMS",
        },
      });
    }
    this.#open++;
    stream.once("close", () => this.#open--);
    return undefined;
  }
}
