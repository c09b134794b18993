import { type JsonWebKey as JWK, randomBytes } from "node:crypto";
import {
  configure,
  type DpopFeatures,
  type McpFeatures,
  type SignIn,
} from "./openid_provider/configuration.js";
import { interact } from "./openid_provider/interaction.js";
import { loadLibrary } from "./openid_provider/library.js";
import { Listener } from "./openid_provider/listener.js";
import { unavailable } from "./openid_provider/page.js";
import { Store } from "./openid_provider/store.js";
import { type Outage, TokenEndpoint, type TokenRequest } from "./openid_provider/token_endpoint.js";

export type { Outage, TokenRequest };

/** A client as the provider's console would register it (OpenID Connect Dynamic Client Registration names). */
export interface ClientRegistration {
  client_id: string;
  client_secret?: string;
  token_endpoint_auth_method:
    | "client_secret_post"
    | "client_secret_basic"
    | "client_secret_jwt"
    | "private_key_jwt"
    | "none";
  token_endpoint_auth_signing_alg?: string;
  jwks?: { keys: JWK[] };
  jwks_uri?: string;
  redirect_uris: string[];
  grant_types?: string[];
  response_types?: readonly string[];
}

export interface OpenIdProviderOptions {
  /** Its name where a proxy ends TLS before it and says so (`X-Forwarded-Proto`, `X-Forwarded-Host`). Default `http://127.0.0.1:PORT`. */
  issuer?: string;
  /** Default 0: any free port. The address is always 127.0.0.1. */
  port?: number;
  /** Default 3600. The demo uses 20. Counted by the real clock: oidc-provider is never given a faked one. */
  accessTokenTtlSeconds?: number;
  /** Default 60. */
  authorizationCodeTtlSeconds?: number;
  /** Default 14 days, counted anew for each rotated token. */
  refreshTokenTtlSeconds?: number;
  /** Known besides `openid`, `offline_access`, `read`, and `write`. */
  scopes?: readonly string[];
  /** It takes authorization requests that were pushed, and no others (RFC 9126 section 5). */
  requirePushedRequests?: boolean;
  /** As in `Lifetimes`. */
  signedFlow?: "supported" | "required";
  /** It binds tokens to keys (RFC 9449). */
  dpop?: DpopFeatures;
  /** Registered for the three clients of `OpenIdProvider.clients`. `addRedirectUri` adds to them later. */
  redirectUris: string[];
  /** Registered besides the three. */
  clients?: readonly ClientRegistration[];
  /** How it fetches what clients publish: by itself it fetches nothing of this machine. */
  fetch?: typeof fetch;
  /** As an authorization server of MCP servers. */
  mcp?: McpFeatures;
  /** Claims of ada in her id_tokens, which otherwise hold only `sub`: `groups`, and `email` with the scope. Asked at each one. */
  identity?: () => Readonly<Record<string, unknown>>;
  /** It knows the `acr` `bronze` and `silver`. How ada signs in. */
  signIn?: () => SignIn;
}

export interface ConfidentialClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface OpenIdProvider {
  /** `http://127.0.0.1:PORT`, character for character as in the discovery document and in `iss`. */
  readonly issuer: string;
  readonly port: number;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string;
  /** Answers 200 to a live access token of a grant with `openid`, 401 to any other. */
  readonly userinfoEndpoint: string;
  readonly clients: {
    /** client_secret_post */
    readonly post: ConfidentialClient;
    /** client_secret_basic; its secret holds characters that RFC 6749, 2.3.1 wants form-encoded. */
    readonly basic: ConfidentialClient;
    /** none */
    readonly public: { readonly clientId: string };
  };
  /** Every POST to the token endpoint, in the order of arrival, without secrets. */
  readonly tokenRequests: readonly TokenRequest[];
  /**
   * A token response is computed at once (codes are consumed, refresh tokens rotated) and sent so many milliseconds
   * later. Default 0.
   */
  delayTokenResponsesMs: number;
  /** Like `delayTokenResponsesMs`, but until the returned function is called. */
  holdTokenResponses(): () => void;
  /** Resolves as soon as `tokenRequests` holds `count` entries, answered or not. */
  waitForTokenRequests(count: number): Promise<void>;
  /** What a person does in the provider's console: every token dies, the next refresh answers `invalid_grant`. */
  revokeAllGrants(): Promise<void>;
  /** As a person pastes a redirect URI into the provider's console: for the three clients, besides what they have. */
  addRedirectUri(redirectUri: string): void;
  /** Ids of all clients that it knows, those that registered themselves too. */
  clientIds(): readonly string[];
  /** Changes a client behind its back, or forgets it. @returns what it was */
  changeClient(
    clientId: string,
    change: Record<string, unknown> | undefined,
  ): Record<string, unknown> | undefined;
  setOutage(mode: Outage): Promise<void>;
  /** Closes the port and cuts every connection. State stays for `restart`. */
  stop(): Promise<void>;
  /** The same provider (port, keys, clients, grants, sessions) listens again, with no outage. */
  restart(): Promise<void>;
}

/**
 * A certified authorization server (npm `oidc-provider`) on loopback, in this process: PKCE S256 demanded, refresh
 * tokens for everyone, rotated on each use, reuse of a rotated one revokes its grant, `iss` in authorization
 * responses (RFC 9207), id_tokens signed with RS256 by a key made at start, one account: ada. Each authorization
 * asks for consent and makes a grant of its own, so that one connection can die without the others.
 */
export async function startOpenIdProvider(options: OpenIdProviderOptions): Promise<OpenIdProvider> {
  const store = new Store();
  const clients = {
    post: { clientId: "nexus-post", clientSecret: randomBytes(32).toString("base64url") },
    basic: { clientId: "nexus-basic", clientSecret: `${randomBytes(32).toString("base64")}:%+ &` },
    public: { clientId: "nexus-public" },
  };

  function register(client: ClientRegistration): void {
    store.put("Client", client.client_id, {
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      ...client,
    });
  }

  function registerOurs(redirect_uris: string[]): void {
    const { post, basic } = clients;
    register({
      client_id: post.clientId,
      client_secret: post.clientSecret,
      token_endpoint_auth_method: "client_secret_post",
      redirect_uris,
    });
    register({
      client_id: basic.clientId,
      client_secret: basic.clientSecret,
      token_endpoint_auth_method: "client_secret_basic",
      redirect_uris,
    });
    register({ client_id: clients.public.clientId, token_endpoint_auth_method: "none", redirect_uris });
  }

  const redirectUris = [...options.redirectUris];
  registerOurs(redirectUris);
  for (const client of options.clients ?? []) register(client);

  const configuration = await configure(options, store);
  const { Provider: OidcProvider } = await loadLibrary();
  const listener = new Listener();
  await listener.open(options.port ?? 0);
  const issuer = options.issuer ?? `http://127.0.0.1:${listener.port}`;
  const engine = new OidcProvider(issuer, configuration);
  engine.proxy = options.issuer !== undefined;
  // Koa would print a stack for each connection that a test cuts; errors of the provider itself are still shown.
  engine.silent = true;
  engine.on("server_error", (_ctx: unknown, violation: unknown) =>
    console.error("fake OpenID provider:", violation),
  );

  const tokens = new TokenEndpoint(engine);
  let outage: Outage = "none";

  listener.serve(async (request, response) => {
    const path = new URL(request.url ?? "/", issuer).pathname;
    if (path === "/token" && request.method === "POST") return tokens.handle(request, response, outage);
    if (outage === "503") return unavailable(response);
    if (path.startsWith("/interaction/")) return interact(engine, request, response, options.signIn);
    tokens.answer(request, response);
  });

  return {
    issuer,
    port: listener.port,
    authorizationEndpoint: `${issuer}/auth`,
    tokenEndpoint: `${issuer}/token`,
    revocationEndpoint: `${issuer}/token/revocation`,
    userinfoEndpoint: `${issuer}/me`,
    clients,
    tokenRequests: tokens.requests,
    get delayTokenResponsesMs() {
      return tokens.delayMs;
    },
    set delayTokenResponsesMs(delayMs: number) {
      tokens.delayMs = delayMs;
    },
    holdTokenResponses: () => tokens.hold(),
    waitForTokenRequests: (count) => tokens.waitFor(count),
    async revokeAllGrants() {
      for (const model of ["Permissions", "RefreshToken", "AccessToken", "AuthorizationCode"])
        store.clear(model);
    },
    addRedirectUri(redirectUri) {
      redirectUris.push(redirectUri);
      registerOurs(redirectUris);
    },
    clientIds: () => store.ids("Client"),
    changeClient: (clientId, change) => store.change("Client", clientId, change),
    async setOutage(mode) {
      outage = mode;
      if (mode === "refuse") await listener.close();
      else await listener.open(listener.port);
    },
    async stop() {
      await listener.close();
    },
    async restart() {
      outage = "none";
      await listener.close();
      await listener.open(listener.port);
    },
  };
}
