// Copied from src/runtime/steady_sessions.ts by `npm run generate`; edit that.
import type { EventEmitter } from "node:events";

/** Makes the requests of a client of HTTP/2 over sessions that it opens: the `Http2SessionManager` of connect-node. */
interface Sessions {
  state(): string;
  /** Opens a session, or asks with a ping whether the one that was silent for long is still there. Never rejects. */
  connect(): Promise<string>;
  /** Why there is no session. */
  error(): unknown;
  request(...given: never[]): Promise<{ readonly session?: EventEmitter | undefined }>;
  abort(reason: Error): void;
}

/** By so much later than the manager itself. */
const graceMs = 500;

/**
 * Keeps the manager from what it makes of a session that dies:
 *
 * - A session that is destroyed says why when its socket has closed. The manager may have begun another one by then, and is no longer notified of it:
 *   what nobody handles ends the process.
 * - One that ends without an error during a ping is pinged forever, and so is one whose last call ends meanwhile. All calls wait for that.
 * - One whose question failed is replaced, and with it the session that another call began meanwhile, for which that call may wait for
 *   ever. So one call at a time asks and opens; all others wait for that.
 *
 * @param pings as the manager has them; `isHeld: false` where what waits for an answer to one does not keep the process alive
 * @returns `sessions` themselves
 */
export function steady<S extends Sessions>(
  sessions: S,
  pings: { readonly pingTimeoutMs: number; readonly isHeld?: boolean },
): S {
  const connect = sessions.connect.bind(sessions);
  const request = sessions.request.bind(sessions);
  const known = new WeakSet<EventEmitter>();
  const connectInTime = async (): Promise<string> => {
    const timer = setTimeout(() => {
      if (sessions.state() !== "verifying") return;
      // By its code calls know that they may be made again.
      sessions.abort(Object.assign(new Error("PING timed out"), { code: "ETIMEDOUT" }));
    }, pings.pingTimeoutMs + graceMs);
    if (pings.isHeld === false) timer.unref();
    try {
      return await connect();
    } finally {
      clearTimeout(timer);
      connecting = undefined;
    }
  };
  let connecting: Promise<string> | undefined;
  sessions.connect = () => {
    connecting ??= connectInTime();
    return connecting;
  };
  sessions.request = async (...given) => {
    // What `abort` ended is not begun again.
    if ((await sessions.connect()) === "error")
      throw sessions.error() ?? new Error("the connection was closed");
    const stream = await request(...given);
    const { session } = stream;
    if (!session || known.has(session)) return stream;
    known.add(session);
    session.on("error", () => undefined);
    // For those who wait for the answer to a ping.
    session.once("close", () => session.emit("error", new Error("the session has ended")));
    return stream;
  };
  return sessions;
}
