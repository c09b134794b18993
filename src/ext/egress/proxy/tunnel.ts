import type { Duplex } from "node:stream";

/** Two ends of one tunnel: each ends with the other, and has the last bytes of one that has ended in order. */
export function joined(one: Duplex, other: Duplex): void {
  const follow = (from: Duplex, to: Duplex): void => {
    const end = (): unknown => (from.readableEnded ? to.end(() => to.destroy()) : to.destroy());
    from.on("error", end).once("close", end).pipe(to);
  };
  follow(one, other);
  follow(other, one);
}
