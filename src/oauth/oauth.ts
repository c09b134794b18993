/** The door of `oauth`: the messages of OAuth 2.0 and OpenID Connect, and what answers to them mean. */

export { type AuthorizationRequest, authorizationUrl } from "./authorization_request.js";
export {
  type InvalidResponse,
  processAuthorizationResponse,
} from "./authorization_response.js";
export {
  type AuthorizationServer,
  fromDiscoveryDocument,
  hasIssuer,
  manualAuthorizationServer,
} from "./authorization_server.js";
export { signingKeyOf } from "./client_assertion.js";
export { clientAuthentication, keySourceOf, type OAuthClient } from "./client_authentication.js";
export { DiscoveryFailure, fetchDiscoveryDocument } from "./discovery.js";
export { DpopNonces } from "./dpop/dpop_nonces.js";
export { GrantFailure } from "./failure.js";
export { exchangeForClaims } from "./grants/code_exchange.js";
export { IdentityRequired } from "./grants/identity_required.js";
export { clientCredentials, type MintedToken, mint, sendGrantRequest } from "./grants/minted_token.js";
export { IdTokenError } from "./id_token.js";
export { claimsOf, jwtExpiryMs } from "./jwt.js";
export { newCodeVerifier } from "./pkce.js";
export { parseChallenges } from "./resource/authentication_challenge.js";
export { verifySignedResponse } from "./signed_response.js";
export type { ClientRequest } from "./token_request.js";
export { noAccessToken, normaliseTokenResponse, type TokenAnswer } from "./token_response.js";
