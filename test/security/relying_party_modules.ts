import {
  type RelyingPartyProvider,
  signedByHmac,
  unsigned,
  withBrokenSignature,
  without,
} from "../fakes/relying_party_provider.js";
import { newSigningKey } from "../oauth/signing_key.js";

/**
 * What the daemon must do. `active`: the connection is, and its token can be read. `refused`: it failed with that reason, and there is no
 * token. `profile_refused`: nobody is sent anywhere. `refreshed`: the next token is served. `not_served`: it is not, and the one before lives on.
 */
export type Verdict = "active" | "refused" | "profile_refused" | "refreshed" | "not_served";

export interface ConformanceModule {
  readonly plan: "basic" | "config" | "refresh" | "beyond the three plans";
  readonly name: string;
  /** What the suite's module demands of a relying party. */
  readonly demand: string;
  readonly verdict: Verdict;
  /** Where the daemon does not do what the module watches, or does more than it demands, and why. */
  readonly note?: string;
  /** Makes the id_token, and that of a refresh; sound ones when left out. */
  readonly idToken?: RelyingPartyProvider["makeIdToken"];
  readonly refreshedIdToken?: RelyingPartyProvider["makeIdToken"];
  /** What else is different about the provider. */
  readonly arrange?: (provider: RelyingPartyProvider) => void;
  /** Of the profile. */
  readonly profile?: { readonly tokenEndpointAuthMethod?: number; readonly scopes?: string[] };
  /** Consents again after this, as a second user, and wants the same verdict. */
  readonly again?: (provider: RelyingPartyProvider) => void;
}

const plan = (
  plan: ConformanceModule["plan"],
  modules: readonly Omit<ConformanceModule, "plan">[],
): ConformanceModule[] => modules.map((module) => ({ plan, ...module }));

const noUserInfo =
  "The daemon keeps tokens and takes no identity from the provider's userinfo endpoint: it never calls it for a profile of type oauth2, with whatever token. The test sees that no such request comes.";

const basic = plan("basic", [
  {
    name: "oidcc-client-test",
    demand: "An authentication request, a token request, and the id_token accepted.",
    verdict: "active",
    note: noUserInfo,
  },
  {
    name: "oidcc-client-test-invalid-iss",
    demand: "An id_token whose iss is not the issuer must be rejected.",
    verdict: "refused",
    idToken: (claims, { key, issuer }) => key.sign({ ...claims, iss: `${issuer}/other` }),
  },
  {
    name: "oidcc-client-test-missing-sub",
    demand: "An id_token without sub must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign(without(claims, "sub")),
  },
  {
    name: "oidcc-client-test-invalid-aud",
    demand: "An id_token whose aud does not hold the client must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign({ ...claims, aud: "another-client" }),
  },
  {
    name: "oidcc-client-test-missing-iat",
    demand: "An id_token without iat must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign(without(claims, "iat")),
  },
  {
    name: "oidcc-client-test-kid-absent-single-jwks",
    demand: "An id_token without kid must be accepted when the JWKS holds one key.",
    verdict: "active",
    idToken: (claims, { key }) => key.sign(claims, { kid: undefined }),
  },
  {
    name: "oidcc-client-test-kid-absent-multiple-jwks",
    demand: "An id_token without kid, and several keys that fit: to try each or to reject are both right.",
    verdict: "refused",
    note: "The library rejects: which key is meant is not guessed.",
    arrange: (provider) => {
      provider.otherKeys = [newSigningKey("other")];
      provider.makeIdToken = (claims, { key }) => key.sign(claims, { kid: undefined });
    },
  },
  {
    name: "oidcc-client-test-idtoken-sig-rs256",
    demand: "An id_token signed with RS256 must be accepted.",
    verdict: "active",
    idToken: (claims, { key }) => key.sign(claims, { alg: "RS256" }),
  },
  {
    name: "oidcc-client-test-idtoken-sig-none",
    demand:
      "An unsigned id_token may be accepted in the code flow, or rejected by a client that did not ask for it.",
    verdict: "refused",
    note: "Never accepted, whatever the discovery document lists.",
    idToken: unsigned,
  },
  {
    name: "oidcc-client-test-invalid-sig-rs256",
    demand: "An id_token with a wrong RS256 signature must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => withBrokenSignature(key.sign(claims)),
  },
  {
    name: "oidcc-client-test-userinfo-invalid-sub",
    demand: "A userinfo answer whose sub is not that of the id_token must be rejected.",
    verdict: "active",
    note: `Does not apply. ${noUserInfo}`,
  },
  {
    name: "oidcc-client-test-nonce-invalid",
    demand: "An id_token whose nonce is not the one of the request must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign({ ...claims, nonce: `${String(claims["nonce"])}x` }),
  },
  {
    name: "oidcc-client-test-scope-userinfo-claims",
    demand:
      "The scopes for claims are in the authentication request, and the claims are read at the userinfo endpoint.",
    verdict: "active",
    note: `The scopes are asked for as they are; the reading does not apply. ${noUserInfo}`,
    profile: { scopes: ["openid", "profile", "email", "address", "phone"] },
  },
  {
    name: "oidcc-client-test-client-secret-basic",
    demand: "The client authenticates at the token endpoint with client_secret_basic.",
    verdict: "active",
    profile: { tokenEndpointAuthMethod: 2 },
  },
]);

const config = plan("config", [
  {
    name: "oidcc-client-test-discovery-openid-config",
    demand: "The endpoints are read from the discovery document.",
    verdict: "active",
  },
  {
    name: "oidcc-client-test-discovery-jwks-uri-keys",
    demand: "The keys are read from jwks_uri.",
    verdict: "active",
  },
  {
    name: "oidcc-client-test-discovery-issuer-mismatch",
    demand: "A document that names another issuer than the one it was asked of must be rejected.",
    verdict: "profile_refused",
    arrange: (provider) => {
      provider.describe = (document) => ({ ...document, issuer: `${provider.issuer}/other` });
    },
  },
  {
    name: "oidcc-client-test-idtoken-sig-none",
    demand: "As in the basic plan.",
    verdict: "refused",
    note: "Never accepted, whatever the discovery document lists.",
    idToken: unsigned,
  },
  {
    name: "oidcc-client-test-signing-key-rotation-just-before-signing",
    demand:
      "The provider rotates its key after discovery and before it signs: the client must fetch the keys that are published then.",
    verdict: "active",
    arrange: (provider) => {
      provider.onAuthorization = () => provider.rotateKey();
    },
  },
  {
    name: "oidcc-client-test-signing-key-rotation",
    demand:
      "A second id_token, signed with a key that is new since the first: the client must fetch the keys anew.",
    verdict: "active",
    again: (provider) => provider.rotateKey(),
  },
]);

const kept =
  "The daemon detects it and does not serve the access token beside it. The rotated refresh token is kept, sealed, and the token before lives on until it expires.";

const refresh = plan("refresh", [
  {
    name: "oidcc-client-test-refresh-token",
    demand: "A refresh token is obtained and redeemed for a new access token.",
    verdict: "refreshed",
    note: noUserInfo,
  },
  {
    name: "oidcc-client-test-refresh-token-invalid-issuer",
    demand:
      "A refreshed id_token whose iss is not that of the first must be detected, and nothing be asked at userinfo.",
    verdict: "not_served",
    note: kept,
    refreshedIdToken: (claims, { key }) => key.sign({ ...claims, iss: "https://evil.example" }),
  },
  {
    name: "oidcc-client-test-refresh-token-invalid-sub",
    demand:
      "A refreshed id_token whose sub is not that of the first must be detected, and nothing be asked at userinfo.",
    verdict: "not_served",
    note: kept,
    refreshedIdToken: (claims, { key }) => key.sign({ ...claims, sub: "eve" }),
  },
]);

const beyond = plan("beyond the three plans", [
  {
    name: "oidcc-client-test-refresh-token-invalid-aud",
    demand: "A refreshed id_token whose aud is not that of the first must be detected.",
    verdict: "not_served",
    note: kept,
    refreshedIdToken: (claims, { key }) => key.sign({ ...claims, aud: "another-client" }),
  },
  {
    name: "oidcc-client-test-missing-aud",
    demand: "An id_token without aud must be rejected.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign(without(claims, "aud")),
  },
  {
    name: "oidcc-client-test-invalid-sig-hs256",
    demand: "An id_token with a wrong HS256 signature must be rejected.",
    verdict: "refused",
    note: "A right one as well, as here: only public keys are taken.",
    idToken: signedByHmac,
  },
  {
    name: "an id_token that has expired",
    demand: "OpenID Connect Core 1.0 section 3.1.3.7 step 9.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign({ ...claims, exp: Number(claims["iat"]) - 60 }),
  },
  {
    name: "an azp that is another client",
    demand: "OpenID Connect Core 1.0 section 3.1.3.7 step 5.",
    verdict: "refused",
    idToken: (claims, { key }) => key.sign({ ...claims, azp: "another-client" }),
  },
  {
    name: "no id_token although openid was granted",
    demand: "OpenID Connect Core 1.0 section 3.1.3.3.",
    verdict: "refused",
    idToken: () => undefined,
  },
  {
    name: "a key that is not published",
    demand: "OpenID Connect Core 1.0 section 10.1: a signature by an unauthenticated's key must be rejected.",
    verdict: "refused",
    arrange: (provider) => {
      const unauthenticated = newSigningKey("key-1");
      provider.makeIdToken = (claims) => unauthenticated.sign(claims);
    },
  },
]);

/**
 * The modules for relying parties of the OpenID Foundation's conformance suite, plans `oidcc-client-basic-certification-test-plan`,
 * `oidcc-client-config-certification-test-plan` and `oidcc-client-refreshtoken-test-plan`, for `response_type=code`, and what lies beyond.
 */
export const conformanceModules: readonly ConformanceModule[] = [...basic, ...config, ...refresh, ...beyond];

/** Modules of other plans for relying parties that are not in the table, and why. */
export const notApplicable: Readonly<Record<string, string>> = {
  "oidcc-client-test-userinfo-bearer-header": "no userinfo request is ever made",
  "oidcc-client-test-userinfo-bearer-body": "no userinfo request is ever made",
  "oidcc-client-test-discovery-webfinger-acct": "issuers are configured, never guessed from an address",
  "oidcc-client-test-discovery-webfinger-url": "issuers are configured, never guessed from an address",
  "oidcc-client-test-dynamic-registration": "clients are registered by an operator",
  "oidcc-client-test-nonce-unless-code-flow": "only the code flow is spoken, and it has a nonce always",
  "oidcc-client-test-missing-athash":
    "at_hash comes with the implicit and hybrid flows, which are not spoken",
  "oidcc-client-test-invalid-athash":
    "at_hash comes with the implicit and hybrid flows, which are not spoken",
  "oidcc-client-test-request-uri-signed-rs256": "request objects are not sent",
  "oidcc-client-test-session-management": "there is no session of a person here that could be ended",
};
