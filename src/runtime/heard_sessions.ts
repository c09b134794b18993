import type { EventEmitter } from "node:events";

/** Makes the requests of a client of HTTP/2 over sessions that it opens: the `Http2SessionManager` of connect-node. */
interface Sessions {
  request(...given: never[]): Promise<{ readonly session?: EventEmitter | undefined }>;
}

/**
 * Has somebody hear the error of each session that `sessions` opens. A session that is destroyed says why when its socket has closed; the
 * manager may have begun another one by then, and hears it no more. What nobody hears ends the process.
 *
 * @returns `sessions` themselves
 */
export function heard<S extends Sessions>(sessions: S): S {
  const request = sessions.request.bind(sessions);
  sessions.request = async (...given) => {
    const stream = await request(...given);
    const { session } = stream;
    if (session && !session.listeners("error").includes(ignored)) session.on("error", ignored);
    return stream;
  };
  return sessions;
}

const ignored = (): void => undefined;
