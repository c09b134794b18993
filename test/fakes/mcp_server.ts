import type { IncomingMessage, ServerResponse } from "node:http";
import { LoopbackServer } from "./loopback_server.js";

/** What an MCP server publishes, and what it wants of a token. */
export interface McpServerOptions {
  /** Issuers that it names; more than one, or another later, is for the test to say. */
  authorizationServers: string[];
  /** Scopes of its challenge; none says nothing of them. */
  challengedScopes?: string[];
  scopesSupported?: string[];
  /** Scopes that a token must have. */
  requiredScopes?: string[];
  /** Instead of its own URL. */
  resource?: string;
}

/** An MCP server over HTTP on loopback that takes tokens issued for itself, as JWTs whose issuer it knows. */
export class McpServer extends LoopbackServer {
  /** Paths in the order in which they were asked for. */
  readonly paths: string[] = [];

  private constructor(readonly options: McpServerOptions) {
    super();
  }

  static start(options: McpServerOptions): Promise<McpServer> {
    return new McpServer(options).open();
  }

  get url(): string {
    return `${this.origin}/mcp`;
  }

  protected serve(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "/";
    this.paths.push(path);
    request.resume();
    // Further servers of this host stand below the first: `/mcp/2`.
    const [, wellKnown = "", server] =
      /^(\/\.well-known\/oauth-protected-resource)?(\/mcp(?:\/\w+)?)$/.exec(path) ?? [];
    if (server === undefined) json(response, 404, {});
    else if (wellKnown !== "") json(response, 200, this.#metadata(server));
    else this.#tools(server, request.headers.authorization ?? "", response);
  }

  #tools(server: string, authorization: string, response: ServerResponse): void {
    const [, token] = /^Bearer (.+)$/.exec(authorization) ?? [];
    const { status, error } = token === undefined ? { status: 401, error: undefined } : this.#judge(token);
    if (status !== 200) this.#challenge(server, response, status, error);
    else json(response, 200, { jsonrpc: "2.0", id: 1, result: { tools: [] } });
  }

  #judge(token: string): { readonly status: number; readonly error: string | undefined } {
    const { aud, iss, scope = "" } = claimsOf(token);
    const isOurs = aud === this.url && this.options.authorizationServers.includes(String(iss));
    if (!isOurs) return { status: 401, error: "invalid_token" };
    const scopes = String(scope).split(" ");
    const lacks = (this.options.requiredScopes ?? []).some((each) => !scopes.includes(each));
    return lacks ? { status: 403, error: "insufficient_scope" } : { status: 200, error: undefined };
  }

  #metadata(server: string): object {
    const { authorizationServers, scopesSupported, resource } = this.options;
    return {
      resource: resource ?? `${this.origin}${server}`,
      authorization_servers: authorizationServers,
      ...(scopesSupported && { scopes_supported: scopesSupported }),
    };
  }

  #challenge(server: string, response: ServerResponse, status: number, error?: string): void {
    const { challengedScopes, requiredScopes } = this.options;
    const scopes = error === "insufficient_scope" ? requiredScopes : challengedScopes;
    const parameters = [
      `resource_metadata="${this.origin}/.well-known/oauth-protected-resource${server}"`,
      ...(error ? [`error="${error}"`] : []),
      ...(scopes ? [`scope="${scopes.join(" ")}"`] : []),
    ];
    json(response, status, { error }, { "www-authenticate": `Bearer ${parameters.join(", ")}` });
  }

  /** As an MCP client lists its tools. @returns the status and the challenge */
  async call(accessToken?: string): Promise<{ status: number; wwwAuthenticate: string }> {
    const response = await fetch(this.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });
    await response.arrayBuffer();
    return { status: response.status, wwwAuthenticate: response.headers.get("www-authenticate") ?? "" };
  }
}

function json(response: ServerResponse, status: number, body: object, headers: object = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** Unverified: the issuer is another process's business here. */
function claimsOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  } catch {
    return {};
  }
}
