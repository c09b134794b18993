import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { LoopbackServer } from "./loopback_server.js";
import { readAll } from "./openid_provider/request_body.js";

interface Client {
  readonly client_id: string;
  readonly client_secret: string;
  readonly token_endpoint_auth_method: string;
}

interface Reply {
  readonly status: number;
  readonly json: object;
  readonly headers?: Record<string, string>;
}

/**
 * An MCP server that is its own authorization server, with the words of the MCP Python SDK 2.3: clients and tokens are in memory, consents
 * are given at once, and the token endpoint knows a client by the `client_id` in the body alone.
 */
export class MemoryMcpServer extends LoopbackServer {
  /** What its metadata announces. */
  methods: readonly string[] = ["client_secret_post", "client_secret_basic"];
  /** Refuses every client that did not register for this method. */
  onlyMethod: string | undefined;
  /** Sends a browser with an unknown client to a page with the error, as better-auth does. */
  hasErrorPage = false;
  /** Answers every browser by this status. */
  wall: number | undefined;
  /** Methods for which clients registered, the oldest first. */
  readonly registered: string[] = [];
  #clients = new Map<string, Client>();
  #codes = new Map<string, { readonly clientId: string; readonly challenge: string | null }>();
  #accessTokens = new Set<string>();
  #refreshTokens = new Map<string, string>();

  static start(): Promise<MemoryMcpServer> {
    return new MemoryMcpServer().open();
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  /** It is started again, and has nothing. */
  restart(): void {
    this.#clients.clear();
    this.#codes.clear();
    this.#accessTokens.clear();
    this.#refreshTokens.clear();
  }

  isAlive(accessToken: string): boolean {
    return this.#accessTokens.has(accessToken);
  }

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    const body = (await readAll(request)).toString();
    const { status, json, headers } = this.#replyTo(url, body, request.headers.authorization);
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(json));
  }

  #replyTo({ pathname, searchParams }: URL, body: string, authorization: string | undefined): Reply {
    switch (pathname) {
      case "/mcp":
        return { status: 401, json: { error: "invalid_token" }, headers: this.#challenge() };
      case "/.well-known/oauth-protected-resource/mcp":
        return { status: 200, json: { resource: this.url, authorization_servers: [this.origin] } };
      case "/.well-known/oauth-authorization-server":
        return { status: 200, json: this.#metadata() };
      case "/register":
        return this.#register(JSON.parse(body));
      case "/authorize":
        return this.#authorize(searchParams);
      case "/token":
        return this.#token(new URLSearchParams(body), authorization);
      default:
        return { status: 404, json: {} };
    }
  }

  #challenge(): Record<string, string> {
    const metadata = `${this.origin}/.well-known/oauth-protected-resource/mcp`;
    return { "www-authenticate": `Bearer error="invalid_token", resource_metadata="${metadata}"` };
  }

  #metadata(): object {
    return {
      issuer: this.origin,
      authorization_endpoint: `${this.origin}/authorize`,
      token_endpoint: `${this.origin}/token`,
      registration_endpoint: `${this.origin}/register`,
      response_types_supported: ["code"],
      token_endpoint_auth_methods_supported: this.methods,
      code_challenge_methods_supported: ["S256"],
    };
  }

  #register(asked: Record<string, unknown>): Reply {
    const method = String(asked["token_endpoint_auth_method"]);
    const secret = method === "none" ? {} : { client_secret: random(), client_secret_expires_at: 0 };
    const client = { ...asked, client_id: random(), token_endpoint_auth_method: method, ...secret };
    this.registered.push(method);
    this.#clients.set(client.client_id, client as unknown as Client);
    return { status: 201, json: client };
  }

  #authorize(query: URLSearchParams): Reply {
    const clientId = query.get("client_id") ?? "";
    if (this.wall !== undefined) return { status: this.wall, json: {} };
    if (!this.#clients.has(clientId)) {
      const location = `${this.origin}/error?error=invalid_client`;
      return { status: this.hasErrorPage ? 302 : 400, json: {}, headers: { location } };
    }
    const code = random();
    this.#codes.set(code, { clientId, challenge: query.get("code_challenge") });
    const location = new URL(query.get("redirect_uri") ?? "");
    location.search = String(new URLSearchParams({ code, state: query.get("state") ?? "" }));
    return { status: 302, json: {}, headers: { location: location.href } };
  }

  #token(form: URLSearchParams, authorization: string | undefined): Reply {
    const refused = this.#refusal(form, authorization);
    if (refused) return { status: 401, json: { error: "invalid_client", error_description: refused } };
    const clientId = form.get("client_id");
    const isRefresh = form.get("grant_type") === "refresh_token";
    const code = this.#codes.get(form.get("code") ?? "");
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "");
    const isGood = isRefresh
      ? this.#refreshTokens.get(form.get("refresh_token") ?? "") === clientId
      : code?.clientId === clientId && code?.challenge === challenge.digest("base64url");
    if (!isGood) return { status: 400, json: { error: "invalid_grant" } };
    this.#codes.delete(form.get("code") ?? "");
    const [access_token, refresh_token] = [random(), random()];
    this.#accessTokens.add(access_token);
    this.#refreshTokens.set(refresh_token, clientId ?? "");
    return { status: 200, json: { access_token, refresh_token, token_type: "Bearer", expires_in: 3600 } };
  }

  #refusal(form: URLSearchParams, authorization = ""): string | undefined {
    const clientId = form.get("client_id");
    if (clientId === null) return "Missing client_id";
    const client = this.#clients.get(clientId);
    if (!client) return "Invalid client_id";
    const { token_endpoint_auth_method: method, client_secret: secret } = client;
    if (this.onlyMethod !== undefined && method !== this.onlyMethod) return "Unsupported auth method";
    if (method === "none") return undefined;
    const basic = `Basic ${Buffer.from(`${clientId}:${secret}`).toString("base64")}`;
    const isShown =
      method === "client_secret_basic" ? authorization === basic : form.get("client_secret") === secret;
    return isShown ? undefined : "Invalid client_secret";
  }
}

function random(): string {
  return randomBytes(16).toString("hex");
}
