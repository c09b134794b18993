import { SignJWT } from "jose";
import type { GrantType } from "../../domain/token_endpoint/token_endpoint.js";
import { parseJsonObject } from "../../model/model.js";
import { plainOAuth2 } from "../../model/providers/providers.js";
import {
  type ClientRequest,
  GrantFailure,
  keySourceOf,
  type MintedToken,
  mint,
  normaliseTokenResponse,
  signingKeyOf,
  type TokenAnswer,
} from "../../oauth/oauth.js";
import { jsonResponse } from "../../outbound/outbound.js";

/**
 * GitHub Apps: the App signs a JWT for each request, and gets a token of its installation. `token_url` names the installation.
 */
export const githubAppType: GrantType = {
  signingAlg: "RS256",
  violations: (settings, violation) => {
    const { tokenEndpointAuthMethod, enableDiscovery, oauth2 } = settings;
    if (tokenEndpointAuthMethod !== "none")
      violation(
        "token_endpoint_auth_method",
        "must be none with the grant type github_app: the app signs each request",
      );
    if (enableDiscovery)
      violation(
        "enable_discovery",
        "must be off with the grant type github_app: token_url names the installation",
      );
    if (oauth2.tokenExchange !== "off")
      violation(
        "oauth2_options.token_exchange",
        "must be off with the grant type github_app: the app downscopes its tokens itself",
      );
    if (oauth2.dpop === "always")
      violation(
        "oauth2_options.dpop",
        "must not be always with the grant type github_app: its token endpoint is none of OAuth",
      );
  },
  open: () => ({ renew: (common, { scopes }) => githubApp({ ...common, scopes }) }),
};

export interface GithubAppGrant extends ClientRequest {
  /** `contents:read` for a permission, `repository:NAME` for a repository; none means all that the installation has. */
  readonly scopes: readonly string[];
}

/** GitHub refuses an `iat` that lies ahead of its clock, and an `exp` that lies more than 10 minutes ahead. */
const backdatedSeconds = 60;
const maxSeconds = 10 * 60;
const repositoryScope = /^repository:([A-Za-z0-9._-]{1,100})$/;
const permissionScope = /^([a-z][a-z_]{0,63}):(read|write|admin)$/;

/**
 * Asks for a token of a GitHub App's installation, at the token endpoint that names it. It is no OAuth: the JWT of the app is the bearer
 * token of the request, and the answer has words of its own.
 *
 * @throws GrantFailure
 */
export async function githubApp(grant: GithubAppGrant): Promise<MintedToken> {
  return await mint(grant, grant.scopes, () => sendInstallationRequest(grant));
}

async function sendInstallationRequest(grant: GithubAppGrant): Promise<TokenAnswer> {
  const { server, clock, scopes, signal, options = plainOAuth2 } = grant;
  const restriction = restrictionOf(scopes);
  const jwt = await appJwt(grant);
  const raw = await grant.fetch(server.tokenEndpoint, {
    method: "POST",
    headers: {
      ...options.tokenHeaders,
      accept: "application/vnd.github+json",
      authorization: `Bearer ${jwt}`,
      "content-type": "application/json",
      "x-github-api-version": "2022-11-28",
    },
    body: JSON.stringify(restriction),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await raw.text();
  const answer = normaliseTokenResponse(raw.status, standardWords(text, clock.nowMs()));
  const { status, body, accessTokenViolation } = answer;
  const retryAfter = raw.headers.get("retry-after");
  const headers: Record<string, string> = retryAfter === null ? {} : { "retry-after": retryAfter };
  return {
    response: jsonResponse(body, { status, headers }),
    idToken: undefined,
    metadata: {},
    accessTokenViolation,
  };
}

async function appJwt({ client, clock }: GithubAppGrant): Promise<string> {
  const { key } = await signingKeyOf(keySourceOf(client), { ...plainOAuth2, clientSigningAlg: "RS256" });
  const iat = Math.floor(clock.nowMs() / 1000) - backdatedSeconds;
  const claims = { iss: client.clientId, iat, exp: iat + maxSeconds };
  return await new SignJWT(claims).setProtectedHeader({ alg: "RS256", typ: "JWT" }).sign(key);
}

/** The scopes of a downscoped token, or the first scope that is not within the present ones. */
export type DownscopedInstallation =
  | { readonly scopes: readonly string[] }
  | { readonly index: number; readonly violation: string };

const levels = ["read", "write", "admin"];

/**
 * The scopes of a token that may at most what one with `present` may: a kind, permissions or repositories, that `wanted` does not name
 * stays as it is.
 */
export function downscopedInstallation(
  present: readonly string[],
  wanted: readonly string[],
): DownscopedInstallation {
  const isRepository = (scope: string): boolean => repositoryScope.test(scope);
  const permission = (scope: string): boolean => permissionScope.test(scope);
  for (const [index, scope] of wanted.entries()) {
    const isKnown = isRepository(scope) || permission(scope);
    if (!isKnown) return { index, violation: unknownScope(scope) };
    const bounds = present.filter(isRepository(scope) ? isRepository : permission);
    if (bounds.length > 0 && !bounds.some((bound) => isWithin(scope, bound)))
      return {
        index,
        violation: "is wider than the connection: ask for what the scopes of the connection name",
      };
  }
  const kept = [isRepository, permission].flatMap((kind) => (wanted.some(kind) ? [] : present.filter(kind)));
  return { scopes: [...wanted, ...kept] };
}

/** `contents:read` lies within `contents:write`. */
function isWithin(scope: string, bound: string): boolean {
  const [, name, level = ""] = permissionScope.exec(scope) ?? [];
  const [, boundName, boundLevel = ""] = permissionScope.exec(bound) ?? [];
  if (name === undefined || boundName === undefined) return scope === bound;
  return name === boundName && levels.indexOf(level) <= levels.indexOf(boundLevel);
}

function unknownScope(scope: string): string {
  return `the scope ${scope} is neither a permission of GitHub, such as contents:read, nor a repository, such as repository:NAME`;
}

/** @throws GrantFailure when a scope is neither a permission nor a repository; nothing is sent then */
function restrictionOf(scopes: readonly string[]): object {
  const repositories: string[] = [];
  const permissions: Record<string, string> = {};
  for (const scope of scopes) {
    const repository = repositoryScope.exec(scope)?.[1];
    const [, name, level] = permissionScope.exec(scope) ?? [];
    if (repository !== undefined) repositories.push(repository);
    else if (name !== undefined && level !== undefined) permissions[name] = level;
    else {
      const refusal = unknownScope(scope);
      throw new GrantFailure({ kind: "client", oauthError: "invalid_scope", httpStatus: 422, refusal });
    }
  }
  return {
    ...(repositories.length > 0 ? { repositories } : {}),
    ...(Object.keys(permissions).length > 0 ? { permissions } : {}),
  };
}

/** The answer in the words of RFC 6749 section 5.1; what is no answer with a token stays as it is. */
function standardWords(text: string, nowMs: number): string {
  const json = parseJsonObject(text);
  const { token, expires_at: expiresAt, permissions } = json ?? {};
  if (typeof token !== "string") return text;
  const endMs = typeof expiresAt === "string" ? Date.parse(expiresAt) : Number.NaN;
  const granted = typeof permissions === "object" && permissions !== null ? Object.entries(permissions) : [];
  return JSON.stringify({
    access_token: token,
    token_type: "Bearer",
    ...(Number.isNaN(endMs) ? {} : { expires_in: Math.floor((endMs - nowMs) / 1000) }),
    ...(granted.length === 0 ? {} : { scope: granted.map(([name, level]) => `${name}:${level}`).join(" ") }),
  });
}
