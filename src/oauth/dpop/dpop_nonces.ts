import { BoundedMap } from "../../runtime/bounded_map.js";

/** Servers remembered, some 3 KiB each at most: one that is forgotten says its nonce again. */
const maxServers = 1_000;
/** RFC 9449 section 8.1 has the characters; the longest known are JWTs of some hundred. */
const nonceSyntax = /^[\x21\x23-\x5B\x5D-\x7E]{1,2048}$/;

/** The newest nonce of each server (RFC 9449 sections 8 and 9). A restart forgets them. */
export class DpopNonces {
  readonly #nonces: BoundedMap<string, string>;

  /** @param limit servers at most */
  constructor(limit: number = maxServers) {
    this.#nonces = new BoundedMap(limit);
  }

  get size(): number {
    return this.#nonces.size;
  }

  /** @param server its issuer, or its origin where none is known */
  get(server: string): string | undefined {
    return this.#nonces.get(server);
  }

  /** What is no nonce changes nothing. */
  remember(server: string, nonce: string | null): void {
    if (nonce !== null && nonceSyntax.test(nonce)) this.#nonces.set(server, nonce);
  }
}
