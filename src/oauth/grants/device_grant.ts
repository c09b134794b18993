import * as oauth from "oauth4webapi";
import type { TokenSet } from "../../model/credentials/credential.js";
import { plainOAuth2 } from "../../model/providers/profile_fields.js";
import { clientMetadata } from "../client_authentication.js";
import { classify, GrantFailure } from "../failure.js";
import { type ClientRequest, callTokenEndpoint } from "../token_request.js";
import { grantedTokens } from "./code_exchange.js";

export interface DevicePoll extends ClientRequest {
  readonly deviceCode: string;
  /** Undefined where the request for the device code had no challenge. */
  readonly codeVerifier: string | undefined;
  /**
   * Whether `openid` was requested: an id_token that comes is then verified. RFC 8628 has none, and OpenID Connect does not say that this grant
   * brings one, so that servers leave it out.
   */
  readonly expectsIdToken: boolean;
}

export type DevicePollOutcome =
  | { readonly kind: "granted"; readonly tokenSet: TokenSet }
  /** The person is not done. */
  | { readonly kind: "pending" }
  /** The same, and from now on 5 s more between two requests (RFC 8628 section 3.5). */
  | { readonly kind: "slow_down" };

/** Asks whether the person is done (RFC 8628 section 3.4). @throws GrantFailure, of which an UnusableGrant holds what was granted */
export async function pollDevice(poll: DevicePoll): Promise<DevicePollOutcome> {
  const { server, client, clock, deviceCode, codeVerifier, options = plainOAuth2 } = poll;
  const metadata = clientMetadata(client, clock);
  try {
    const verifier = codeVerifier === undefined ? {} : { code_verifier: codeVerifier };
    const additionalParameters = { ...options.tokenParams, ...verifier, client_id: client.clientId };
    const answer = await callTokenEndpoint(poll, (at, as, authentication, sent) =>
      oauth.deviceCodeGrantRequest(at, as, authentication, deviceCode, { ...sent, additionalParameters }),
    );
    const tokens = await oauth.processDeviceCodeResponse(server.metadata, metadata, answer.response);
    const requireIdToken = poll.expectsIdToken && answer.idToken !== undefined;
    return { kind: "granted", tokenSet: await grantedTokens({ ...poll, requireIdToken }, tokens, answer) };
  } catch (violation) {
    const failure = classify(violation, clock.nowMs());
    if (failure instanceof GrantFailure) {
      if (failure.oauthError === "authorization_pending") return { kind: "pending" };
      if (failure.oauthError === "slow_down") return { kind: "slow_down" };
    }
    throw failure;
  }
}
