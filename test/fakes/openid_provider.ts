/// <reference path="./oidc-provider.d.ts" />
import { generateKeyPair, randomBytes, randomUUID } from "node:crypto";
import { createServer, IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Adapter, Configuration, Provider, StoredPayload } from "oidc-provider";

/** A client as the provider's console would register it (OpenID Connect Dynamic Client Registration names). */
export interface ClientRegistration {
  client_id: string;
  client_secret?: string;
  token_endpoint_auth_method: "client_secret_post" | "client_secret_basic" | "none";
  redirect_uris: string[];
  grant_types?: string[];
}

export interface OpenIdProviderOptions {
  /** Default 0: any free port. The address is always 127.0.0.1. */
  port?: number;
  /** Default 3600. The demo uses 20. Counted by the real clock: oidc-provider is never given a faked one. */
  accessTokenTtlSeconds?: number;
  /** Default 60. */
  authorizationCodeTtlSeconds?: number;
  /** Default 14 days, counted anew for each rotated token. */
  refreshTokenTtlSeconds?: number;
  /** Registered for the three clients of `OpenIdProvider.clients`. `setRedirectUris` changes them later. */
  redirectUris: string[];
  /** Registered besides the three. */
  clients?: readonly ClientRegistration[];
}

export interface ConfidentialClient {
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface TokenRequest {
  readonly grantType: string;
  readonly clientId: string | undefined;
  /** HTTP status of the answer; 0 while there is none, for ever if the connection ended first. */
  readonly status: number;
  /** Milliseconds since the epoch at which the request had arrived whole. */
  readonly at: number;
}

/**
 * `503`: every endpoint answers 503 with a page of HTML. `hang`: the token endpoint reads the request, does nothing
 * with it and never answers. `refuse`: nobody listens on the port and open connections are cut.
 */
export type Outage = "none" | "503" | "hang" | "refuse";

export interface OpenIdProvider {
  /** `http://127.0.0.1:PORT`, character for character as in the discovery document and in `iss`. */
  readonly issuer: string;
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
  /** As a person pastes a redirect URI into the provider's console. Replaces those of the three clients. */
  setRedirectUris(redirectUris: string[]): Promise<void>;
  setOutage(mode: Outage): Promise<void>;
  /** Closes the port and cuts every connection. State stays for `restart`. */
  stop(): Promise<void>;
  /** The same provider (port, keys, clients, grants, sessions) listens again, with no outage. */
  restart(): Promise<void>;
}

const accountId = "ada";
const fourteenDaysSeconds = 14 * 24 * 60 * 60;

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

  registerOurs(options.redirectUris);
  for (const client of options.clients ?? []) register(client);

  const configuration = await configure(options, store);
  const { Provider: OidcProvider } = await loadLibrary();
  const door = new Door();
  await door.open(options.port ?? 0);
  const issuer = `http://127.0.0.1:${door.port}`;
  const engine = new OidcProvider(issuer, configuration);
  // Koa would print a stack for each connection that a test cuts; faults of the provider itself are still shown.
  engine.silent = true;
  engine.on("server_error", (_ctx: unknown, fault: unknown) => console.error("fake OpenID provider:", fault));

  const tokens = new TokenEndpoint(engine);
  let outage: Outage = "none";

  door.serve(async (request, response) => {
    const path = new URL(request.url ?? "/", issuer).pathname;
    if (path === "/token" && request.method === "POST") return tokens.handle(request, response, outage);
    if (outage === "503") return unavailable(response);
    if (path.startsWith("/interaction/")) return interact(engine, request, response);
    tokens.answer(request, response);
  });

  return {
    issuer,
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
      for (const model of ["Grant", "RefreshToken", "AccessToken", "AuthorizationCode"]) store.clear(model);
    },
    async setRedirectUris(redirectUris) {
      registerOurs(redirectUris);
    },
    async setOutage(mode) {
      outage = mode;
      if (mode === "refuse") await door.close();
      else await door.open(door.port);
    },
    async stop() {
      await door.close();
    },
    async restart() {
      outage = "none";
      await door.close();
      await door.open(door.port);
    },
  };
}

/**
 * Where clients, sessions, grants and tokens lie. It outlives `stop`. The engine itself refuses what has expired.
 * No method does I/O, so the engine's "find the refresh token, mark it used" is never interleaved with another
 * request's: of two refreshes that race, the second always counts as reuse.
 */
class Store {
  readonly #models = new Map<string, Map<string, StoredPayload>>();

  #model(name: string): Map<string, StoredPayload> {
    let entries = this.#models.get(name);
    if (entries === undefined) {
      entries = new Map();
      this.#models.set(name, entries);
    }
    return entries;
  }

  put(model: string, id: string, payload: StoredPayload): void {
    this.#model(model).set(id, structuredClone(payload));
  }

  clear(model: string): void {
    this.#model(model).clear();
  }

  adapter(name: string): Adapter {
    const entries = this.#model(name);
    const findBy = async (field: string, value: string) => {
      for (const payload of entries.values()) if (payload[field] === value) return structuredClone(payload);
      return undefined;
    };
    return {
      upsert: async (id, payload) => this.put(name, id, payload),
      find: async (id) => structuredClone(entries.get(id)),
      findByUid: (uid) => findBy("uid", uid),
      findByUserCode: (userCode) => findBy("userCode", userCode),
      consume: async (id) => {
        const payload = entries.get(id);
        if (payload !== undefined) payload["consumed"] = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void entries.delete(id),
      revokeByGrantId: async (grantId) => {
        for (const [id, payload] of entries) if (payload["grantId"] === grantId) entries.delete(id);
      },
    };
  }
}

async function configure(options: OpenIdProviderOptions, store: Store): Promise<Configuration> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 });
  const signingKey = { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
  return {
    adapter: (model) => store.adapter(model),
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    scopes: ["openid", "offline_access", "read", "write"],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
    responseTypes: ["code"],
    clientAuthMethods: ["client_secret_post", "client_secret_basic", "none"],
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: { enabled: true, allowedPolicy: async () => true },
    },
    ttl: {
      AccessToken: options.accessTokenTtlSeconds ?? 3600,
      AuthorizationCode: options.authorizationCodeTtlSeconds ?? 60,
      Grant: fourteenDaysSeconds,
      IdToken: 3600,
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
        }),
      };
    },
    interactions: { url: async (_ctx, interaction) => `/interaction/${interaction.uid}` },
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

let library: Promise<typeof import("oidc-provider")> | undefined;

/** On import the library warns on the console of a Node older than its own floor; everything else passes. */
function loadLibrary(): Promise<typeof import("oidc-provider")> {
  library ??= (async () => {
    const { warn } = console;
    console.warn = (...values: unknown[]) => {
      if (!String(values[0]).includes("oidc-provider WARNING: Unsupported runtime")) warn(...values);
    };
    try {
      return await import("oidc-provider");
    } finally {
      console.warn = warn;
    }
  })();
  return library;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** One address, opened and closed at will. */
class Door {
  port = 0;
  #server: Server | undefined;
  #handler: Handler = (_request, response) => unavailable(response);

  serve(handler: Handler): void {
    this.#handler = handler;
  }

  async open(port: number): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((request, response) => {
      Promise.resolve(this.#handler(request, response)).catch((fault: unknown) => {
        if (!response.headersSent)
          show(response, 400, "The provider refuses", `<p>${escapeHtml(String(fault))}</p>`);
        else response.destroy();
      });
    });
    this.#server = server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, "127.0.0.1", resolve);
      });
    } catch (fault) {
      this.#server = undefined;
      throw fault;
    }
    this.port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    // A client in this process learns in the next turn of the loop that its pooled connections are dead.
    await nextTurn();
    await nextTurn();
  }
}

/** Keeps the record of token requests, and holds back the engine's answers if told to. */
class TokenEndpoint {
  readonly requests: { grantType: string; clientId: string | undefined; status: number; at: number }[] = [];
  delayMs = 0;
  readonly answer: ReturnType<Provider["callback"]>;
  #gate: Promise<void> | undefined;
  #waiting: { count: number; wake: () => void }[] = [];

  constructor(engine: Provider) {
    engine.use(async (ctx, next) => {
      if (ctx.path !== "/token" || ctx.method !== "POST") return next();
      await next();
      if (this.delayMs > 0) await sleep(this.delayMs, undefined, { ref: false });
      await this.#gate;
    });
    this.answer = engine.callback();
  }

  async handle(request: IncomingMessage, response: ServerResponse, outage: Outage): Promise<void> {
    const body = await readAll(request);
    const entry = { ...describe(request, body), status: 0, at: Date.now() };
    this.requests.push(entry);
    response.once("finish", () => {
      entry.status = response.statusCode;
    });
    for (const { count, wake } of this.#waiting) if (count <= this.requests.length) wake();
    this.#waiting = this.#waiting.filter(({ count }) => count > this.requests.length);
    if (outage === "hang") return;
    if (outage === "503") return unavailable(response);
    this.answer(replay(request, body), response);
  }

  hold(): () => void {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = gate;
    return () => {
      if (this.#gate === gate) this.#gate = undefined;
      open();
    };
  }

  waitFor(count: number): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve();
    return new Promise((wake) => {
      this.#waiting.push({ count, wake });
    });
  }
}

/** Grant type and client of a token request, from its body or its Basic credentials (RFC 6749, 2.3.1). */
function describe(
  request: IncomingMessage,
  body: Buffer,
): { grantType: string; clientId: string | undefined } {
  const fields = new URLSearchParams(body.toString("utf8"));
  const grantType = fields.get("grant_type") ?? "";
  const basic = /^Basic +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (basic === undefined) return { grantType, clientId: fields.get("client_id") ?? undefined };
  const encodedId = Buffer.from(basic, "base64").toString("utf8").split(":", 1)[0] ?? "";
  return { grantType, clientId: new URLSearchParams(`id=${encodedId}`).get("id") ?? undefined };
}

/** The same request with its body still to be read. */
function replay(request: IncomingMessage, body: Buffer): IncomingMessage {
  const copy = new IncomingMessage(request.socket);
  copy.method = request.method;
  copy.url = request.url;
  copy.httpVersion = request.httpVersion;
  copy.httpVersionMajor = request.httpVersionMajor;
  copy.httpVersionMinor = request.httpVersionMinor;
  copy.rawHeaders = request.rawHeaders;
  copy.headers = request.headers;
  copy.complete = true;
  if (body.length > 0) copy.push(body);
  copy.push(null);
  return copy;
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The person's side: a login page and a consent page, plain forms without scripts. */
async function interact(engine: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const interaction = await engine.interactionDetails(request, response);
  const fields = new URLSearchParams((await readAll(request)).toString("utf8"));
  const isSubmission = request.method === "POST";

  if (interaction.prompt.name === "login") {
    if (!isSubmission) return show(response, 200, "Sign in", loginForm(""));
    if (fields.get("login") !== accountId) {
      return show(response, 400, "Sign in", loginForm(`There is one account here: ${accountId}.`));
    }
    return engine.interactionFinished(request, response, { login: { accountId } });
  }

  const clientId = String(interaction.params["client_id"]);
  const { missingOIDCScope: scopes = [], missingOIDCClaims: claims = [] } = interaction.prompt.details;
  if (!isSubmission) return show(response, 200, "Allow access?", consentForm(clientId, scopes));
  if (fields.get("decision") !== "allow") {
    const result = { error: "access_denied", error_description: "the person said no" };
    return engine.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  const grant = new engine.Grant({ accountId: interaction.session?.accountId ?? accountId, clientId });
  if (scopes.length > 0) grant.addOIDCScope(scopes.join(" "));
  if (claims.length > 0) grant.addOIDCClaims(claims);
  await engine.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

function loginForm(complaint: string): string {
  return `<form id="provider-login" method="post">
<p>${escapeHtml(complaint)}</p>
<p><label>Account <input type="text" name="login" value="${accountId}" autocomplete="off"></label></p>
<p><button type="submit" id="continue">Continue</button></p>
</form>`;
}

function consentForm(clientId: string, scopes: readonly string[]): string {
  const items = scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join("");
  return `<form id="provider-consent" method="post">
<p>${escapeHtml(clientId)} asks for:</p>
<ul>${items}</ul>
<p><button type="submit" id="allow" name="decision" value="allow">Allow</button>
<button type="submit" id="deny" name="decision" value="deny">Deny</button></p>
</form>`;
}

function unavailable(response: ServerResponse): void {
  show(response, 503, "Service Unavailable", "<p>Come back later.</p>");
}

function show(response: ServerResponse, status: number, title: string, body: string): void {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(document(title, body));
}

function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(title)}</title><link rel="icon" href="data:,"></head>
<body>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
