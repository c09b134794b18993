import type { Http2Server, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { type Clock, setDeadline, type Timer } from "../../runtime/clock.js";

/** Silence between an answered ping and the next one: a peer that vanished is noticed in 40 s. */
export const pingIntervalMs = 30_000;

/** Time a peer has to answer a ping. */
export const pingTimeoutMs = 10_000;

/** The sessions of an HTTP/2 server: `node:http2` neither notices that a peer vanished nor closes sessions with their server. */
export class Http2Sessions {
  readonly #sessions = new Set<ServerHttp2Session>();
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
    for (const session of this.#sessions) session.close();
  }

  #add(session: ServerHttp2Session): void {
    if (this.#closing) {
      session.close();
      return;
    }
    this.#sessions.add(session);
    let timer: Timer | undefined;
    const isIdle = this.#watchStreams(session);
    const waitAndPing = (): void => {
      timer = this.#clock.setTimer(pingIntervalMs, ping);
    };
    const ping = (): void => {
      if (session.destroyed) return;
      let isAnswered = false;
      // A turn later: a clock that jumps, as after a pause of the machine, must not pass over the time to answer.
      setImmediate(() => {
        if (isAnswered || session.destroyed) return;
        timer = setDeadline(this.#clock, pingTimeoutMs, () => session.destroy());
      });
      session.ping((error) => {
        isAnswered = true;
        timer?.cancel();
        if (error !== null) session.destroy();
        else if (isIdle()) session.close();
        else waitAndPing();
      });
    };
    waitAndPing();
    session.once("close", () => {
      timer?.cancel();
      this.#sessions.delete(session);
    });
  }

  /** @returns whether the session has had no stream for as long as it may */
  #watchStreams(session: ServerHttp2Session): () => boolean {
    let streams = 0;
    let idleSinceMs = this.#clock.monotonicMs();
    session.on("stream", (stream: ServerHttp2Stream) => {
      streams++;
      stream.once("close", () => {
        streams--;
        idleSinceMs = this.#clock.monotonicMs();
      });
    });
    return () => streams === 0 && this.#clock.monotonicMs() - idleSinceMs >= this.#idleTimeoutMs;
  }
}
