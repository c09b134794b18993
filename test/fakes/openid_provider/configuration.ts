import { generateKeyPair, randomBytes, randomUUID } from "node:crypto";
import { promisify } from "node:util";
import type { Configuration } from "oidc-provider";
import { document, escapeHtml } from "./page.js";
import type { Store } from "./store.js";

/** The person who signs in, and the only one. */
export const accountId = "ada";
const fourteenDaysSeconds = 14 * 24 * 60 * 60;

/** See OpenIdProviderOptions for the defaults. */
export interface Lifetimes {
  readonly accessTokenTtlSeconds?: number;
  readonly authorizationCodeTtlSeconds?: number;
  readonly refreshTokenTtlSeconds?: number;
  readonly scopes?: readonly string[];
  /** As an authorization server of MCP servers; by default it is none. */
  readonly mcp?: McpFeatures;
  readonly fetch?: typeof fetch;
  /** RFC 9126 section 5. */
  readonly requirePushedRequests?: boolean;
  /** It takes signed authorization requests (RFC 9101), and no others where that is `required`; it signs its responses (JARM) when it is asked to. */
  readonly signedFlow?: "supported" | "required";
  /** RFC 9449; by default it knows nothing of it. */
  readonly dpop?: DpopFeatures;
  /** Claims of ada in her id_tokens, which otherwise hold only `sub`: `groups`, and `email` with the scope. Asked at each one. */
  readonly identity?: () => Readonly<Record<string, unknown>>;
  /** It knows the `acr` `bronze` and `silver`. How ada signs in. */
  readonly signIn?: () => SignIn;
}

/** How a person signs in: the `acr`, and when, in seconds of the epoch; by default now. */
export interface SignIn {
  readonly acr?: string;
  readonly ts?: number;
}

/** Tokens that are bound to the key that a request proves. */
export interface DpopFeatures {
  /** Whether each proof needs a nonce of its own making, at the token endpoint and at user-info; default true. */
  readonly requireNonce?: boolean;
}

/** Dynamic registration and its management, Client ID Metadata Documents, and tokens for one resource at a time. */
export interface McpFeatures {
  /** Resources that tokens are issued for (RFC 8707): the access token is then a JWT for it. */
  readonly resources: readonly string[];
  /** Whether clients may be documents; default false. */
  readonly clientIdMetadataDocuments?: boolean;
  /** Whether clients may register themselves; default true. */
  readonly registration?: boolean;
  /** How it fetches such a document. */
  readonly fetch?: typeof fetch;
}

/** RFC 8707 section 2: the error of oidc-provider that says so. */
function invalidTarget(): Error {
  return Object.assign(new Error("invalid_target"), {
    ...{ error: "invalid_target", status: 400, statusCode: 400, expose: true },
  });
}

function mcpFeatures({ mcp }: Lifetimes): Configuration["features"] {
  if (!mcp) return { resourceIndicators: { enabled: false } };
  const { resources, clientIdMetadataDocuments = false, registration = true } = mcp;
  return {
    registration: { enabled: registration },
    registrationManagement: { enabled: registration, rotateRegistrationAccessToken: true },
    clientIdMetadataDocument: { enabled: clientIdMetadataDocuments, ack: "draft-02" },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx: unknown, resource: string) => {
        if (!resources.includes(resource)) throw invalidTarget();
        return { scope: "read write", audience: resource, accessTokenFormat: "jwt" };
      },
    },
  };
}

export async function configure(options: Lifetimes, store: Store): Promise<Configuration> {
  const fetch = options.fetch ?? options.mcp?.fetch;
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const signingKey = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
  return {
    adapter: (model) => store.adapter(model),
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    scopes: ["openid", "offline_access", "read", "write", ...(options.scopes ?? [])],
    conformIdTokenClaims: options.identity === undefined,
    ...(options.signIn && { acrValues: ["bronze", "silver"] }),
    claims: {
      openid: ["sub", "groups"],
      profile: ["name", "preferred_username"],
      email: ["email", "email_verified"],
    },
    responseTypes: ["code"],
    clientAuthMethods: [
      "client_secret_post",
      "client_secret_basic",
      "client_secret_jwt",
      "private_key_jwt",
      "none",
    ],
    pkce: { required: () => true },
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: {
        enabled: options.dpop !== undefined,
        nonceSecret: randomBytes(32),
        requireNonce: () => options.dpop?.requireNonce ?? true,
      },
      ...mcpFeatures(options),
      pushedAuthorizationRequests: {
        enabled: options.requirePushedRequests === true,
        requirePushedAuthorizationRequests: options.requirePushedRequests === true,
      },
      requestObjects: {
        enabled: options.signedFlow !== undefined,
        requireSignedRequestObject: options.signedFlow === "required",
      },
      jwtResponseModes: { enabled: options.signedFlow !== undefined },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true, allowedPolicy: async () => true },
    },
    ttl: {
      AccessToken: options.accessTokenTtlSeconds ?? 3600,
      ClientCredentials: options.accessTokenTtlSeconds ?? 3600,
      AuthorizationCode: options.authorizationCodeTtlSeconds ?? 60,
      Grant: fourteenDaysSeconds,
      // Issued by the clock of the machine, and judged by that of a daemon that tests move ahead by days.
      IdToken: 30 * 24 * 3600,
      Interaction: 3600,
      RefreshToken: options.refreshTokenTtlSeconds ?? fourteenDaysSeconds,
      Session: fourteenDaysSeconds,
    },
    rotateRefreshToken: true,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    expiresWithSession: async () => false,
    // Never the grant that the session remembers: see startOpenIdProvider.
    loadExistingGrant: async (ctx) => {
      const grantId = ctx.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : ctx.oidc.provider.Grant.find(grantId);
    },
    findAccount: async (_ctx, id) => {
      if (id !== accountId) return undefined;
      return {
        accountId,
        claims: () => ({
          sub: accountId,
          name: "Ada Lovelace",
          preferred_username: "ada",
          email: "ada@example.test",
          email_verified: true,
          ...options.identity?.(),
        }),
      };
    },
    interactions: { url: async (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ...(fetch && { fetch }),
    clientBasedCORS: () => false,
    renderError: async (ctx, out) => {
      const lines = Object.entries(out).map(
        ([name, value]) => `<p>${escapeHtml(name)}: ${escapeHtml(String(value))}</p>`,
      );
      ctx.type = "html";
      ctx.body = document("The provider refuses", lines.join("\n"));
    },
  };
}
