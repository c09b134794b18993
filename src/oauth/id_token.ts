import * as oauth from "oauth4webapi";
import type { Clock } from "../runtime/clock.js";
import type { AuthorizationServer } from "./authorization_server.js";
import { clientMetadata, type OAuthClient } from "./client_authentication.js";
import type { IdTokenFault } from "./failure.js";
import { OutboundError, type OutboundFetch } from "./outbound.js";

/** An id_token that must not be relied on. Has no `cause`: the library's errors hold the claims. */
export class IdTokenError extends Error {
  constructor(readonly fault: IdTokenFault) {
    super(`the id_token failed verification (${fault})`);
    this.name = "IdTokenError";
  }
}

export interface IdTokenExpectation {
  readonly server: AuthorizationServer;
  readonly client: OAuthClient;
  readonly clock: Clock;
  /** `exact`: this one. `any`: not looked at, as at a refresh. Undefined: there must be none. */
  readonly nonce: { readonly exact: string } | "any" | undefined;
}

/** An id_token whose claims were checked. Its signature may not have been: see `verifySignature`. */
export interface JudgedIdToken {
  readonly idToken: string;
  readonly subject: string;
  /** For `oauth4webapi`, which knows the token again by this object. */
  readonly response: Response;
}

/**
 * OpenID Connect Core 1.0 section 3.1.3.7 without its signature: the library checks `alg`, `iss` (identical strings),
 * `aud`, `exp`, `iat`, `nbf`, `nonce`. Ours beyond it: an `azp` that is present must be this client whatever `aud` says
 * (step 5), and `sub` must not be empty.
 *
 * @throws IdTokenError
 */
export async function processIdToken(
  expectation: IdTokenExpectation,
  idToken: string,
): Promise<JudgedIdToken> {
  const { server, client, clock, nonce } = expectation;
  if (server.issuer === undefined) throw new IdTokenError("iss");
  // The library judges id_tokens only inside a token response.
  const response = Response.json({ access_token: "-", token_type: "Bearer", id_token: idToken });
  const metadata = clientMetadata(client, clock);
  try {
    const result =
      nonce === "any"
        ? await oauth.processRefreshTokenResponse(server.metadata, metadata, response)
        : await oauth.processAuthorizationCodeResponse(server.metadata, metadata, response, {
            requireIdToken: true,
            expectedNonce: nonce?.exact ?? oauth.expectNoNonce,
          });
    const claims = oauth.getValidatedIdTokenClaims(result);
    if (claims === undefined) throw new IdTokenError("malformed");
    if (claims.sub === "") throw new IdTokenError("sub");
    if (claims.azp !== undefined && claims.azp !== client.clientId) throw new IdTokenError("azp");
    return { idToken, subject: claims.sub, response };
  } catch (fault) {
    throw fault instanceof IdTokenError ? fault : new IdTokenError(claimFault(fault));
  }
}

/**
 * The signature of a judged id_token by the provider's JWKS (OpenID Connect Core 1.0 section 10.1). A key that the cached
 * set does not know may be a rotated one, so the set is fetched anew once: the library itself would wait up to a minute.
 *
 * @throws IdTokenError
 */
export async function verifySignature(
  server: AuthorizationServer,
  judged: JudgedIdToken,
  fetch: OutboundFetch,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (server.jwksUri === undefined) throw new IdTokenError("jwks_unavailable");
  let fetched = false;
  const options: oauth.ValidateSignatureOptions = {
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url, request) => {
      fetched = true;
      return fetch(url, request);
    },
    ...(signal === undefined ? {} : { signal }),
  };
  try {
    await oauth.validateApplicationLevelSignature(server.metadata, judged.response, options);
  } catch (fault) {
    if (fetched) throw new IdTokenError(signatureFault(fault));
    try {
      await oauth.validateApplicationLevelSignature({ ...server.metadata }, judged.response, options);
    } catch (again) {
      throw new IdTokenError(signatureFault(again));
    }
  }
}

function claimFault(fault: unknown): IdTokenFault {
  if (!(fault instanceof oauth.OperationProcessingError)) return "malformed";
  const { cause } = fault;
  if (typeof cause !== "object" || cause === null) return "malformed";
  if ("header" in cause) return "alg";
  const claim = "claim" in cause ? cause.claim : /JWT "(\w+)"/.exec(fault.message)?.[1];
  return claimNames.find((name) => name === claim) ?? "malformed";
}

const claimNames = ["iss", "aud", "azp", "exp", "nbf", "nonce", "sub"] as const;

/** What is no fault of the token is one of fetching the keys. */
function signatureFault(fault: unknown): IdTokenFault {
  if (fault instanceof OutboundError) return "jwks_unavailable";
  if (!(fault instanceof oauth.OperationProcessingError)) return "signature";
  const isKey = fault.code === oauth.KEY_SELECTION;
  return isKey || fault.message.includes("signature") ? "signature" : "jwks_unavailable";
}
