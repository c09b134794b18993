import { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { TlsSession } from "../../src/outbound/tls_sessions.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";

describe("the TLS session of a server", () => {
  const clock = perTest(() => new ManualClock(0));
  const kept = perTest(() => new TlsSession(clock));
  /** A connection to the server, which gives this session. */
  const connected = (session: string, isReused: boolean): EventEmitter => {
    const socket = Object.assign(new EventEmitter(), { isSessionReused: () => isReused });
    kept.follow(socket as unknown as TLSSocket);
    socket.emit("session", Buffer.from(session));
    return socket;
  };

  it("is the newest, and stands for its certificate for ten minutes, however often it is renewed", () => {
    expect(kept.current).toBeUndefined();
    connected("first", false);
    clock.advance(9 * 60_000);
    connected("second", true);
    expect(kept.current?.toString()).toBe("second");
    clock.advance(60_000);
    expect(kept.current).toBeUndefined();
    connected("third", false);
    expect(kept.current?.toString()).toBe("third");
  });

  it("is forgotten with an error, in case that the server fails over it", () => {
    const socket = connected("first", false);
    socket.emit("error", new Error("handshake failure"));
    expect(kept.current).toBeUndefined();
  });
});
