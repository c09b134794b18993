import { constants, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { edgePolicy } from "../../model/edge_policy.js";
import { type Clock, setDeadline, type Timer } from "../../runtime/clock.js";
import { closeStream } from "./stream_watchdogs.js";

/** One session; `end` is Node's own `close` of it. */
interface Tracked {
  streams: number;
  idleSinceMs: number;
  isLeaving: boolean;
  readonly end: () => void;
}

/**
 * The sessions of an HTTP/2 server: `node:http2` neither notices that a peer vanished nor closes sessions with their server.
 *
 * A session that is to close sends GOAWAY, refuses what opens from then on, and closes after its last stream. Node itself, also when a
 * client sends GOAWAY, marks the session closed at once and refuses within the callback of the parser. That frees what the parser still
 * uses: on Node 20, GOAWAY and a request in one packet ended the process (nodejs/node#64113).
 */
export class Http2Sessions {
  readonly #sessions = new Map<ServerHttp2Session, Tracked>();
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #closing = false;

  /** @param idleTimeoutMs after how long a session without a stream is closed; undefined for never */
  constructor(server: Http2Server, clock: Clock, idleTimeoutMs?: number) {
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs ?? Number.POSITIVE_INFINITY;
    server.on("session", (session) => this.#add(session));
  }

  /** Sends GOAWAY on every session; each closes after its last stream. */
  close(): void {
    this.#closing = true;
    for (const [session, tracked] of this.#sessions) this.#leave(session, tracked);
  }

  /** @returns false for a stream that came after GOAWAY, which is refused then: its client knows that nothing was done */
  admits(stream: ServerHttp2Stream): boolean {
    const { session } = stream;
    if (!session || !this.#sessions.get(session as ServerHttp2Session)?.isLeaving) return true;
    stream.on("error", () => undefined);
    closeStream(stream, constants.NGHTTP2_REFUSED_STREAM);
    return false;
  }

  #add(session: ServerHttp2Session): void {
    const end = session.close.bind(session);
    const tracked: Tracked = { streams: 0, idleSinceMs: this.#clock.monotonicMs(), isLeaving: false, end };
    this.#sessions.set(session, tracked);
    session.close = () => void setImmediate(() => this.#leave(session, tracked));
    this.#countStreams(session, tracked);
    if (this.#closing) this.#leave(session, tracked);
    else this.#ping(session, tracked);
    session.once("close", () => this.#sessions.delete(session));
  }

  /**
   * Without a stream Node ends it at once, and never refuses anything. GOAWAY and the end of the connection leave together.
   */
  #leave(session: ServerHttp2Session, tracked: Tracked): void {
    if (session.destroyed || tracked.isLeaving) return;
    tracked.isLeaving = true;
    if (tracked.streams === 0) tracked.end();
    else session.goaway();
  }

  #endLater(session: ServerHttp2Session, tracked: Tracked): void {
    setImmediate(() => {
      if (tracked.streams === 0 && !session.destroyed) tracked.end();
    });
  }

  #ping(session: ServerHttp2Session, tracked: Tracked): void {
    let timer: Timer | undefined;
    const waitAndPing = (): void => {
      timer = this.#clock.setTimer(edgePolicy.sessions.pingIntervalMs, ping);
    };
    const ping = (): void => {
      if (session.destroyed) return;
      let isAnswered = false;
      // A turn later: a clock that jumps, as after a pause of the machine, must not pass over the time to answer.
      setImmediate(() => {
        if (isAnswered || session.destroyed) return;
        timer = setDeadline(this.#clock, edgePolicy.sessions.pingTimeoutMs, () => session.destroy());
      });
      session.ping((error) => {
        isAnswered = true;
        timer?.cancel();
        if (error !== null) session.destroy();
        else if (this.#isIdle(tracked)) this.#leave(session, tracked);
        else waitAndPing();
      });
    };
    waitAndPing();
    session.once("close", () => timer?.cancel());
  }

  /** Whether the session has had no stream for as long as it may. */
  #isIdle({ streams, idleSinceMs }: Tracked): boolean {
    return streams === 0 && this.#clock.monotonicMs() - idleSinceMs >= this.#idleTimeoutMs;
  }

  #countStreams(session: ServerHttp2Session, tracked: Tracked): void {
    session.on("stream", (stream: ServerHttp2Stream) => {
      tracked.streams++;
      stream.once("close", () => {
        tracked.streams--;
        tracked.idleSinceMs = this.#clock.monotonicMs();
        if (tracked.isLeaving && tracked.streams === 0) this.#endLater(session, tracked);
      });
    });
  }
}
