import * as oauth from "oauth4webapi";
import { expect } from "vitest";
import { Browser, consent } from "./browser.js";
import type { OpenIdProvider } from "./openid_provider.js";

export const redirectUri = "http://localhost:9/auth/callback";
export const insecure = { [oauth.allowInsecureRequests]: true };
export const isCallback = (url: string) => url.startsWith(redirectUri);

/** A client of the fake OpenID provider, made of oauth4webapi alone. */
export interface Agent {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly auth: oauth.ClientAuth;
}

async function discover(provider: OpenIdProvider): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(provider.issuer);
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
}

export async function agentOf(
  provider: OpenIdProvider,
  kind: "post" | "basic" | "public" = "post",
): Promise<Agent> {
  const { post, basic } = provider.clients;
  const auth = {
    post: oauth.ClientSecretPost(post.clientSecret),
    basic: oauth.ClientSecretBasic(basic.clientSecret),
    public: oauth.None(),
  }[kind];
  return { server: await discover(provider), client: { client_id: provider.clients[kind].clientId }, auth };
}

export interface Request {
  readonly url: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export async function authorizationRequest(
  { server, client }: Agent,
  more: Record<string, string> = {},
): Promise<Request> {
  const [state, nonce, verifier] = [
    oauth.generateRandomState(),
    oauth.generateRandomNonce(),
    oauth.generateRandomCodeVerifier(),
  ];
  const url = new URL(server.authorization_endpoint ?? "");
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: redirectUri,
    scope: "openid profile email read write",
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    ...more,
  }).toString();
  return { url: url.href, state, nonce, verifier };
}

export async function exchange({ server, client, auth }: Agent, request: Request, callback: string) {
  const params = oauth.validateAuthResponse(server, client, new URL(callback), request.state);
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    client,
    auth,
    params,
    redirectUri,
    request.verifier,
    insecure,
  );
  const options = { expectedNonce: request.nonce, requireIdToken: true };
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, options);
  await oauth.validateApplicationLevelSignature(server, response, insecure);
  return tokens;
}

export async function connect(who: Agent, browser = new Browser()): Promise<oauth.TokenEndpointResponse> {
  const request = await authorizationRequest(who);
  const page = await consent(browser, request.url, "allow", isCallback);
  expect(page.status).toBe(0);
  return exchange(who, request, page.url);
}

export async function refresh({ server, client, auth }: Agent, refreshToken: string | undefined) {
  const response = await oauth.refreshTokenGrantRequest(server, client, auth, refreshToken ?? "", insecure);
  return oauth.processRefreshTokenResponse(server, client, response);
}

export const invalidGrant = { error: "invalid_grant", status: 400 };

export const isAlive = async (provider: OpenIdProvider, accessToken: string) => {
  const headers = { authorization: `Bearer ${accessToken}` };
  return (await fetch(provider.userinfoEndpoint, { headers })).status === 200;
};
