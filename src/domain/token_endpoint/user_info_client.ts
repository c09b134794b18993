import { type Account, mergedAccount } from "../../model/credentials/account.js";
import { isBound, type TokenSet } from "../../model/credentials/credential.js";
import { dpopStrategy } from "../../model/credentials/strategy.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { userInfoUrl } from "../../model/providers/user_info.js";
import { dpopProof } from "../../oauth/dpop/dpop_proof.js";
import { hasStandardSubject, readUserInfo } from "../../oauth/resource/user_info.js";
import { type AuthorityFiles, trusting } from "../../outbound/certificate_authorities.js";
import type { OutboundResponse } from "../../outbound/outbound_exchange.js";
import { OutboundError, type OutboundFetch } from "../../outbound/outbound_fetch.js";
import { type Clock, setDeadline } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import { apiResponse, CredentialedExchange, type CredentialSource } from "../use/use.js";

/** A person waits for the page. */
const timeoutMs = 3_000;
/** The largest that is known, GitHub's, has 2 KiB. */
const maxBytes = 64 * 1024;

/** Asks a provider whose a new token is, where the profile says how. What it answers is never logged, and its failure is none of the consent. */
export class UserInfoClient {
  constructor(
    private readonly deps: {
      readonly outbound: OutboundFetch;
      readonly authorityFiles?: AuthorityFiles;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** What the id_token says, and beside it what the endpoint does. One request of 3 s at most. */
  async accountOf(profile: ProviderProfile, tokenSet: TokenSet): Promise<Account | undefined> {
    const { account } = tokenSet;
    const url = userInfoUrl(profile);
    if (url === undefined) return account;
    const body = await this.#ask(url, profile, tokenSet);
    const mapping = profile.userInfoMapping;
    const userInfo = body === undefined ? undefined : readUserInfo(body, mapping, url.href);
    if (!account || !userInfo) return userInfo ?? account;
    // OpenID Connect Core 1.0 section 5.3.2: a response with another `sub` must not be used.
    if (!hasStandardSubject(mapping))
      return mergedAccount({ ...userInfo, subject: account.subject }, account);
    if (userInfo.subject === account.subject) return mergedAccount(userInfo, account);
    this.deps.log.warn({ providerId: profile.id }, "user-info of another account ignored");
    return account;
  }

  /** Undefined when there is no usable answer. */
  async #ask(url: URL, profile: ProviderProfile, tokenSet: TokenSet): Promise<string | undefined> {
    const { id: providerId } = profile;
    const stop = new AbortController();
    const timer = setDeadline(this.deps.clock, timeoutMs, () => stop.abort());
    try {
      const answer = await this.#exchange(url, profile, tokenSet, stop.signal).run();
      if (answer.status >= 200 && answer.status < 300) return await answer.text();
      this.deps.log.warn(
        { providerId, status: answer.status },
        "the provider did not report the account of a consent",
      );
    } catch (error) {
      // A strategy that cannot take the token, too: the grant is there and must be kept. Its error may hold the token.
      const why = error instanceof OutboundError ? error.message : error instanceof Error ? error.name : "";
      this.deps.log.warn({ providerId, error: why }, "the provider did not report the account of a consent");
    } finally {
      timer.cancel();
    }
    return undefined;
  }

  #exchange(
    url: URL,
    profile: ProviderProfile,
    tokenSet: TokenSet,
    signal: AbortSignal,
  ): CredentialedExchange<OutboundResponse> {
    const request = { method: "GET", url: url.href, headers: { accept: "application/json" } };
    const outbound = trusting(this.deps.outbound, this.deps.authorityFiles, profile.apiCaFile);
    return new CredentialedExchange<OutboundResponse>({
      source: this.#sourceOf(profile, tokenSet),
      judged: () => ({ ...request, body: undefined, session: "" }),
      send: async (_, put) => {
        const { url: to, headers } = await put(request);
        return await outbound(to, { method: "GET", headers, signal, maxBytes });
      },
      responseOf: ({ status, headers }) => apiResponse(status, Object.fromEntries(headers)),
      dismiss: () => undefined,
    });
  }

  /** One token, which is not stored yet: no other can come of a refusal. */
  #sourceOf({ strategy }: ProviderProfile, tokenSet: TokenSet): CredentialSource {
    const field = strategy.kind === "oauth2" ? strategy.credentialField : "access_token";
    const accessToken = tokenSet.accessToken.reveal();
    const { dpopKey: key } = tokenSet;
    const isProved = key !== undefined && isBound(tokenSet);
    const credential = {
      strategy: isProved ? dpopStrategy(field) : strategy,
      credentials: { [field]: accessToken },
      revision: 0n,
    };
    const { clock } = this.deps;
    return {
      credential: async () => ({ kind: "credential", credential }),
      proof: async (_, method, url, nonce) =>
        isProved
          ? await dpopProof({ method, url, key, accessToken, nonce: nonce || undefined, clock })
          : undefined,
    };
  }
}
