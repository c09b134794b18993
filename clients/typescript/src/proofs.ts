import type { TokenSource } from "./rejection.js";
import type { ApplyOptions } from "./strategies/apply_strategy.js";
import type { Token } from "./token.js";

/** Origins remembered: a hook calls one API, or a few. */
const maxOrigins = 100;

/** Proofs of bound tokens for one hook, with the newest nonce of each API (RFC 9449 sections 4 and 9). */
export class Proofs {
  readonly #nonces = new Map<string, string>();

  constructor(private readonly source: Pick<TokenSource, "prove">) {}

  /** What the strategy needs beside the credential: nothing for a token that is not bound. */
  async optionsFor(token: Token, method: string, url: string): Promise<ApplyOptions> {
    if (!token.isBound) return {};
    const [bare = ""] = url.split(/[?#]/, 1);
    const nonce = this.#nonces.get(new URL(url).origin) ?? "";
    return { proof: await this.source.prove({ method, url: bare, nonce }) };
  }

  /** Whether the API wants another nonce than the request had: then it may be sent once more. */
  answered(
    token: Token | undefined,
    url: string,
    { status, headers }: Pick<Response, "status" | "headers">,
  ): boolean {
    const nonce = headers.get("dpop-nonce");
    if (!token?.isBound || nonce === null) return false;
    const { origin } = new URL(url);
    const isAnother = this.#nonces.get(origin) !== nonce;
    if (this.#nonces.size >= maxOrigins) this.#nonces.clear();
    this.#nonces.set(origin, nonce);
    return isAnother && status === 401 && /\buse_dpop_nonce\b/.test(headers.get("www-authenticate") ?? "");
  }
}
