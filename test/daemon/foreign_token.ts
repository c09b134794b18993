import { authorizationUrl } from "../../src/oauth/authorization_request.js";
import { processAuthorizationResponse } from "../../src/oauth/authorization_response.js";
import { fromDiscoveryDocument } from "../../src/oauth/authorization_server.js";
import { fetchDiscoveryDocument } from "../../src/oauth/discovery.js";
import { exchangeCode } from "../../src/oauth/grants/code_exchange.js";
import { newCodeVerifier } from "../../src/oauth/pkce.js";
import { createOutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { Secret } from "../../src/runtime/secret.js";
import { Browser, consent } from "../fakes/browser.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import type { OpenIdProvider } from "../fakes/openid_provider.js";

/** A refresh token that another system got for the client `post`. */
export async function foreignRefreshToken(provider: OpenIdProvider, redirectUri: string): Promise<string> {
  const fetch = createOutboundFetch({ networks: loopbackNetworks });
  const server = fromDiscoveryDocument(provider.issuer, await fetchDiscoveryDocument(provider.issuer, fetch));
  const { clientId, clientSecret } = provider.clients.post;
  const codeVerifier = newCodeVerifier();
  const url = await authorizationUrl({
    server,
    clientId,
    redirectUri,
    scopes: ["openid", "read"],
    state: "st",
    nonce: "n".repeat(22),
    codeVerifier,
  });
  const page = await consent(new Browser(), url, "allow", (each) => each.startsWith(redirectUri));
  const response = processAuthorizationResponse(server, clientId, new URL(page.url).searchParams, "st");
  if (response.kind !== "code") throw new Error(response.kind);
  const { refreshToken } = await exchangeCode({
    server,
    client: { clientId, clientSecret: new Secret(clientSecret), method: "client_secret_post" },
    params: response.params,
    redirectUri,
    codeVerifier,
    expectedNonce: "n".repeat(22),
    requireIdToken: true,
    clock: new SystemClock(),
    fetch,
  });
  return refreshToken?.reveal() ?? "";
}
