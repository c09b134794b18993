import { OutboundError, type OutboundFetch } from "../../outbound/outbound.js";
import { type AuthorizationRequest, authorizationUrl } from "../authorization_request.js";

/**
 * Whether the authorization endpoint answers a request by an error page, or by a redirect to one: it does not know the client (RFC 6749
 * section 4.1.2.1), or serves nobody. What cannot be asked says neither.
 */
export async function isTurnedAway(request: AuthorizationRequest, fetch: OutboundFetch): Promise<boolean> {
  try {
    const headers = { accept: "text/html" };
    const answer = await fetch(authorizationUrl(request), { method: "GET", headers, takesRedirect: true });
    const location = answer.headers.get("location") ?? "";
    const isToErrorPage = /[?&]error=/.test(location) && !location.startsWith(request.redirectUri);
    return answer.status >= 400 || isToErrorPage;
  } catch (error) {
    if (error instanceof OutboundError) return false;
    throw error;
  }
}
