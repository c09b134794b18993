import type { Socket } from "node:net";
import type { Clock } from "../../runtime/clock.js";

/** What an HTTP/2 client sends first (RFC 9113, section 3.4). No HTTP/1.1 request can begin with it. */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** Time a new connection has to say which protocol it speaks. As long as the headers of HTTP/1.1 may take at the other listeners. */
export const sniffTimeoutMs = 10_000;

/**
 * Reads as much of a new connection as tells HTTP/2 with prior knowledge from HTTP/1.1, puts it back and calls `decided`.
 * A connection that stays silent, or ends first, is dropped.
 */
export function sniff(socket: Socket, clock: Clock, decided: (protocol: "http1" | "http2") => void): void {
  let seen = Buffer.alloc(0);
  const timer = clock.setTimer(sniffTimeoutMs, () => socket.destroy());
  const drop = (): void => void socket.destroy();
  const forget = (): void => timer.cancel();
  const read = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
      seen = Buffer.concat([seen, chunk]);
    }
    const compared = Math.min(seen.length, preface.length);
    const alike = preface.compare(seen, 0, compared, 0, compared) === 0;
    if (alike && compared < preface.length) return;
    timer.cancel();
    socket.removeListener("readable", read);
    socket.removeListener("end", drop);
    socket.removeListener("error", drop);
    socket.removeListener("close", forget);
    socket.unshift(seen);
    decided(alike ? "http2" : "http1");
  };
  socket.on("readable", read);
  socket.on("end", drop);
  socket.on("error", drop);
  socket.on("close", forget);
}
