import { githubApp } from "../../ext/grants/github_app.js";
import { presentIdJag } from "../../ext/grants/identity_assertion/id_jag.js";
import { jwtBearer } from "../../ext/grants/jwt_bearer.js";
import type { GrantType as GrantTypeName, ProviderProfile } from "../../model/providers/provider_profile.js";
import { GrantFailure } from "../../oauth/failure.js";
import { clientCredentials } from "../../oauth/grants/client_credentials.js";
import { refresh } from "../../oauth/grants/refresh_grant.js";
import type { Renewal, Renewed } from "../../oauth/grants/renewal.js";
import type { Secret } from "../../runtime/secret.js";

/** What a connection holds, and what it was asked for: each grant type takes what it needs. */
export interface RenewedConnection {
  /** Undefined where the grant has none, or before the first token. */
  readonly refreshToken: Secret | undefined;
  /** `sub` that an id_token in the answer must have. */
  readonly subject: string | undefined;
  readonly userId: string;
  /** Those of its newest request. */
  readonly scopes: readonly string[];
  /** Those of its credential. */
  readonly grantedScopes: readonly string[];
  /** Of a grant type whose grant another provider issues. */
  readonly assertions?: AssertionSource | undefined;
}

/** Where the assertions about the person of a connection come from. */
export interface AssertionSource {
  /** The one at hand while it lives, else another. @throws GrantFailure, of class `IdentityRequired` where a person must act */
  current(): Promise<{ readonly assertion: Secret; readonly isFresh: boolean }>;
  /** Another one. @throws as `current` */
  renewed(): Promise<Secret>;
}

/** One grant type: how the next token of a connection comes without a person. */
export interface GrantType {
  /** One request at the token endpoint. @throws GrantFailure */
  renew(renewal: Renewal, connection: RenewedConnection): Promise<Renewed>;
}

/** RFC 6749 section 6: what a person gave lives on in its refresh token. */
const refreshToken: GrantType = {
  renew: async (renewal, { refreshToken, subject, grantedScopes }) => {
    if (refreshToken === undefined) throw new GrantFailure({ kind: "invalid_grant" });
    return await refresh({ ...renewal, refreshToken, previousSubject: subject, grantedScopes });
  },
};

/** The same assertion until it ends; one that is refused before is followed by another, once. */
const identityAssertion: GrantType = {
  renew: async (renewal, { scopes, assertions }) => {
    if (assertions === undefined) throw new Error("there is no source of assertions");
    const { assertion, isFresh } = await assertions.current();
    try {
      return await presentIdJag({ ...renewal, scopes, assertion });
    } catch (error) {
      const isRefused = error instanceof GrantFailure && error.kind === "invalid_grant";
      if (!isRefused || isFresh) throw error;
      return await presentIdJag({ ...renewal, scopes, assertion: await assertions.renewed() });
    }
  },
};

const grantTypes: Readonly<Record<GrantTypeName, GrantType>> = {
  authorization_code: refreshToken,
  client_credentials: { renew: (renewal, { scopes }) => clientCredentials({ ...renewal, scopes }) },
  identity_assertion: identityAssertion,
  github_app: { renew: (renewal, { scopes }) => githubApp({ ...renewal, scopes }) },
  jwt_bearer: {
    renew: (renewal, { scopes, userId }) => {
      const named = renewal.options?.assertionSubject.replaceAll("{user_id}", () => userId) ?? "";
      return jwtBearer({ ...renewal, scopes, subject: named === "" ? renewal.client.clientId : named });
    },
  },
};

/** The grant type of a profile. */
export function grantTypeOf({ grantType }: Pick<ProviderProfile, "grantType">): GrantType {
  return grantTypes[grantType];
}
