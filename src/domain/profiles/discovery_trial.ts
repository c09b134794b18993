import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import { isConsented } from "../../model/providers/grant_type.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { discoveryUrl } from "../../oauth/discovery.js";
import { type Clock, delay } from "../../runtime/clock.js";
import { type IssuerMetadata, refuseWithoutAuthorization } from "../token_endpoint/token_endpoint.js";

/** How long a caller that registers a provider waits to learn whether its discovery document can be fetched. */
const trialMs = 3_000;

/** Tries discovery when a profile is written, so that a fault is reported before a user meets it. It refuses nothing. */
export class DiscoveryTrial {
  constructor(private readonly deps: { readonly servers: IssuerMetadata; readonly clock: Clock }) {}

  /** What is wrong, a sentence each; empty without discovery. Answers within 3 s. */
  async warnings(profile: ProviderProfile): Promise<string[]> {
    if (!profile.enableDiscovery) return [];
    const over = new AbortController();
    const late = `${discoveryUrl(profile.issuer)} did not answer within ${trialMs / 1000} seconds; it is fetched again when a connection is requested`;
    let found: string[] | undefined;
    const tried = this.#try(profile).then((warnings) => {
      found = warnings;
      over.abort();
    });
    await Promise.race([tried, delay(this.deps.clock, trialMs, over.signal)]);
    return found ?? [late];
  }

  async #try(profile: ProviderProfile): Promise<string[]> {
    try {
      const server = await this.deps.servers.resolve(profile);
      if (isConsented(profile)) refuseWithoutAuthorization(server);
      return [];
    } catch (error) {
      if (!(error instanceof Unavailable) && !(error instanceof FailedPrecondition)) throw error;
      return [error.message];
    }
  }
}
