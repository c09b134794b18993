import { githubApp } from "../../ext/grants/github_app.js";
import { onBehalfOf } from "../../ext/grants/on_behalf_of.js";
import { type ExchangeTarget, exchangeToken } from "../../ext/grants/token_exchange.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { MintedToken } from "../../oauth/grants/minted_token.js";
import type { Renewal } from "../../oauth/grants/renewal.js";
import type { Secret } from "../../runtime/secret.js";

/** What a narrower token is made of, and for what. */
export interface NarrowedSubject extends ExchangeTarget {
  /** The connection's access token. */
  readonly subjectToken: Secret;
}

/** One way to a narrower token: one request at the token endpoint. @throws GrantFailure */
export type NarrowingType = (renewal: Renewal, subject: NarrowedSubject) => Promise<MintedToken>;

const narrowingTypes: Readonly<
  Record<Exclude<ProviderProfile["oauth2"]["tokenExchange"], "off">, NarrowingType>
> = {
  rfc8693: (renewal, subject) => exchangeToken({ ...renewal, ...subject }),
  on_behalf_of: (renewal, subject) => onBehalfOf({ ...renewal, ...subject }),
};

/** How narrower tokens of a profile come about. The caller has looked whether they do. */
export function narrowingOf({ grantType, oauth2 }: ProviderProfile): NarrowingType {
  if (grantType === "github_app") return (renewal, { scopes }) => githubApp({ ...renewal, scopes });
  if (oauth2.tokenExchange === "off") throw new Error("the profile exchanges no tokens");
  return narrowingTypes[oauth2.tokenExchange];
}
