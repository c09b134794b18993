import type { Clock } from "../runtime/clock.js";
import type { ProviderNetworks } from "./address_judge.js";
import { createOutboundFetch, OutboundError, type OutboundFetch } from "./outbound_fetch.js";
import type { WebProxySettings } from "./web_proxy.js";

/** As many are enough. */
const maxOrigins = 16;
/** Fewer may be a hiccup. */
const minFailures = 3;

/** Whether providers can be reached from here: a connection opens, whatever is answered then. */
export class ProviderReach {
  readonly #origins = new Set<string>();
  /** The last one comes last. */
  readonly #reached = new Set<string>();
  #sinceMs = 0;
  #failures = 0;

  constructor(private readonly clock: Clock) {}

  /** The same way out, whose outcomes are noted. */
  watched(fetch: OutboundFetch): OutboundFetch {
    return async (url, request) => {
      try {
        const response = await fetch(url, request);
        this.#noteReached(url);
        return response;
      } catch (error) {
        if (error instanceof OutboundError) this.#note(url, error);
        throw error;
      }
    };
  }

  /** Origins that were tried in vain, where no provider at all was reached for so long and three requests failed; otherwise none. */
  unreached(forMs: number): readonly string[] {
    const isLong = this.clock.monotonicMs() - this.#sinceMs >= forMs;
    return this.#failures >= minFailures && isLong ? [...this.#origins] : [];
  }

  /** Origins that this process has reached, the last one at the end. */
  get reached(): readonly string[] {
    return [...this.#reached];
  }

  /** A provider was reached. */
  forget(): void {
    this.#failures = 0;
    this.#origins.clear();
  }

  #noteReached(url: string): void {
    this.forget();
    const { origin } = new URL(url);
    this.#reached.delete(origin);
    this.#reached.add(origin);
    const [oldest] = this.#reached;
    if (this.#reached.size > maxOrigins && oldest !== undefined) this.#reached.delete(oldest);
  }

  #note(url: string, error: OutboundError): void {
    const reached = hasReached(error);
    if (reached) this.#noteReached(url);
    if (reached !== false) return;
    if (this.#failures++ === 0) this.#sinceMs = this.clock.monotonicMs();
    if (this.#origins.size < maxOrigins) this.#origins.add(new URL(url).origin);
  }
}

/** Undefined: it says nothing of the network. */
function hasReached({ reason, phase }: OutboundError): boolean | undefined {
  if (phase === "after_send" || reason === "not_leading" || reason === "client_certificate") return true;
  return reason === "network" || reason === "timeout" ? false : undefined;
}

/** Whether a connection to any of the origins opens, TLS included; nothing is sent over it. */
export async function canReachAny(
  origins: readonly string[],
  networks: ProviderNetworks,
  proxies?: WebProxySettings,
): Promise<boolean> {
  const probe = createOutboundFetch({ networks, proxies, maySend: () => false });
  const tried = origins.map(async (origin) => {
    try {
      await probe(origin, { method: "GET", headers: {} });
    } catch (error) {
      if (error instanceof OutboundError && hasReached(error) === true) return;
      throw error;
    }
  });
  return await Promise.any(tried).then(
    () => true,
    () => false,
  );
}
