import * as oauth from "oauth4webapi";
import { parseJsonObject } from "../../model/json_object.js";
import { jsonResponse } from "../../outbound/json_response.js";
import type { OutboundRequest } from "../../outbound/outbound_fetch.js";
import { requestParameters } from "../authorization_request.js";
import { clientAuthentication, clientMetadata } from "../client_authentication.js";
import { classify } from "../failure.js";
import type { ClientRequest } from "../token_request.js";
import { normaliseTokenResponse } from "../token_response.js";

export interface PushedRequest extends ClientRequest {
  readonly endpoint: string;
  /** As `authorizationUrl` answers it. */
  readonly location: string;
}

/**
 * Pushes an authorization request to the server, authenticated as at the token endpoint (RFC 9126 section 2.1).
 *
 * @returns where the browser goes in its place: the endpoint, with `client_id` and `request_uri` alone (section 4)
 * @throws GrantFailure
 */
export async function pushAuthorizationRequest(request: PushedRequest): Promise<string> {
  const { server, client, clock, endpoint, location, fetch } = request;
  const metadata = { ...server.metadata, pushed_authorization_request_endpoint: endpoint };
  const url = new URL(server.authorizationEndpoint);
  const parameters = requestParameters(server, location);
  try {
    const client_ = clientMetadata(client, clock);
    const response = await oauth.pushedAuthorizationRequest(
      metadata,
      client_,
      clientAuthentication(client),
      parameters,
      {
        [oauth.allowInsecureRequests]: true,
        [oauth.customFetch]: async (to: string, sent: OutboundRequest) => {
          const raw = await fetch(to, sent);
          const text = await raw.text();
          // An error reads as one of the token endpoint (section 2.3); a success is 201, and nothing of it is repaired.
          const { status, body } = normaliseTokenResponse(raw.status, text);
          const answer = raw.status < 300 ? (parseJsonObject(text) ?? {}) : body;
          return jsonResponse(answer, { status: raw.status < 300 ? raw.status : status });
        },
      },
    );
    const { request_uri } = await oauth.processPushedAuthorizationResponse(metadata, client_, response);
    url.searchParams.set("client_id", client.clientId);
    url.searchParams.set("request_uri", request_uri);
    return url.href;
  } catch (violation) {
    throw classify(violation, clock.nowMs());
  }
}
