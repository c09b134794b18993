import { isIP } from "node:net";
import { ResourceExhausted } from "../../model/errors.js";
import type { Rate } from "../../model/limits.js";
import { RateLimiter } from "../../service/pipeline/rate_limiter.js";

/**
 * Slows down whoever tries credentials. An address with too many failures is refused before its credential is looked at, right
 * or wrong, or it could go on. Not so on loopback, where every agent of the machine has the same address: there
 * only what fails is answered so, and a good credential passes.
 */
export class FailedAuthentications {
  readonly #rate: Rate | undefined;
  readonly #failures: RateLimiter | undefined;

  constructor(rate: Rate | undefined) {
    this.#rate = rate;
    this.#failures = rate && new RateLimiter(rate);
  }

  /** @param origin address of the socket */
  refusal(origin: string | undefined): ResourceExhausted | undefined {
    const key = addressKey(origin);
    if (!this.#failures || key === undefined || isLoopback(key)) return undefined;
    return this.#failures.has(key) ? undefined : this.#refuse(key);
  }

  /** Counts a failure. @returns what to say in place of "not authenticated" */
  failed(origin: string | undefined): ResourceExhausted | undefined {
    const key = addressKey(origin);
    if (!this.#failures || key === undefined) return undefined;
    return this.#failures.take(key) ? undefined : this.#refuse(key);
  }

  #refuse(key: string): ResourceExhausted {
    return new ResourceExhausted("TOO_MANY_FAILED_AUTHENTICATIONS", {
      what: "calls without a valid credential from this address",
      limit: this.#rate?.burst ?? 0,
      unit: "per minute",
      setting: "NEXUS_MAX_FAILED_AUTHENTICATIONS_PER_MINUTE",
      retryAfterMs: this.#failures?.waitMs(key) ?? 1,
    });
  }
}

/**
 * What counts as one address: an IPv4 address, also where IPv6 maps it, or the first 64 bits of an IPv6 address, which is what one
 * customer gets. A port is dropped. Undefined for what is no address, as with a Unix socket.
 */
export function addressKey(origin: string | undefined): string | undefined {
  if (origin === undefined) return undefined;
  const host = /^\[(.*)\]:\d+$/.exec(origin)?.[1] ?? /^([\d.]+):\d+$/.exec(origin)?.[1] ?? origin;
  // grpc-js writes the port of an IPv6 peer without brackets; no address has nine groups.
  const bare = isIP(host) === 0 ? host.replace(/:\d+$/, "") : host;
  const address = bare.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return address === "::1" ? address : firstGroups(address);
    default:
      return undefined;
  }
}

function firstGroups(address: string): string {
  const [left = "", right] = address.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

function isLoopback(key: string): boolean {
  return key === "::1" || key.startsWith("127.");
}
