import { type Account, mergedAccount } from "../../model/credentials/account.js";
import type { TokenSet } from "../../model/credentials/credential.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { userInfoUrl } from "../../model/providers/user_info.js";
import { hasStandardSubject, readUserInfo } from "../../oauth/resource/user_info.js";
import { OutboundError, type OutboundFetch } from "../../outbound/outbound.js";
import { type Clock, setDeadline } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Secret } from "../../runtime/secret.js";
import type { ApplyStrategy } from "../static_credentials/credential_probe.js";

/** A person waits for the page. */
const timeoutMs = 3_000;
/** The largest that is known, GitHub's, has 2 KiB. */
const maxBytes = 64 * 1024;

/** Asks a provider whose a new token is, where the profile says how. What it answers is never logged, and its failure is none of the consent. */
export class UserInfoClient {
  constructor(
    private readonly deps: {
      readonly outbound: OutboundFetch;
      readonly apply: ApplyStrategy;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** What the id_token says, and beside it what the endpoint does. One request of 3 s at most. */
  async accountOf(profile: ProviderProfile, tokenSet: TokenSet): Promise<Account | undefined> {
    const { account } = tokenSet;
    const url = userInfoUrl(profile);
    if (url === undefined) return account;
    const body = await this.#ask(url, profile, tokenSet.accessToken);
    const mapping = profile.userInfoMapping;
    const asked = body === undefined ? undefined : readUserInfo(body, mapping, url.href);
    if (!account || !asked) return asked ?? account;
    // OpenID Connect Core 1.0 section 5.3.2: a response with another `sub` must not be used.
    if (!hasStandardSubject(mapping)) return mergedAccount({ ...asked, subject: account.subject }, account);
    if (asked.subject === account.subject) return mergedAccount(asked, account);
    this.deps.log.warn({ providerId: profile.id }, "user-info of another account ignored");
    return account;
  }

  /** Undefined when there is no usable answer. */
  async #ask(url: URL, profile: ProviderProfile, accessToken: Secret): Promise<string | undefined> {
    const { strategy, id: providerId } = profile;
    const field = strategy.kind === "oauth2" ? strategy.credentialField : "access_token";
    const bare = { method: "GET", url: url.href, headers: { accept: "application/json" } };
    const stop = new AbortController();
    const timer = setDeadline(this.deps.clock, timeoutMs, () => stop.abort());
    try {
      const request = await this.deps.apply(bare, strategy, { [field]: accessToken.reveal() });
      const limits = { signal: stop.signal, maxBytes };
      const answer = await this.deps.outbound(request.url, {
        method: "GET",
        headers: request.headers,
        ...limits,
      });
      if (answer.status >= 200 && answer.status < 300) return await answer.text();
      this.deps.log.warn({ providerId, status: answer.status }, "the account of a consent was not told");
    } catch (error) {
      // A strategy that cannot take the token, too: the grant is there and must be kept. Its error may hold the token.
      const why = error instanceof OutboundError ? error.message : error instanceof Error ? error.name : "";
      this.deps.log.warn({ providerId, error: why }, "the account of a consent was not told");
    } finally {
      timer.cancel();
    }
    return undefined;
  }
}
