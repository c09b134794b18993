import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { Clock } from "../../runtime/runtime.js";
import { consentPage, refusalPage } from "./demo_pages.js";

interface DemoProviderOptions {
  readonly clock: Clock;
  readonly port: number;
  readonly tokenLifetimeMs: number;
  /** What happened at the token endpoint, in a line without secrets. */
  readonly onToken: (line: string) => void;
}

/** What the user has allowed. */
interface DemoGrant {
  readonly scope: string;
  /** Counts its tokens: the API shows it, so that a refresh can be seen. */
  tokens: number;
  access: { readonly token: string; readonly expiresMs: number };
  refreshToken: string;
}

interface DemoAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: object;
  readonly page?: string;
}

interface DemoCode {
  readonly challenge: string;
  readonly redirectUri: string;
  readonly scope: string;
  readonly expiresMs: number;
}

const codeLifetimeMs = 60_000;
/** Far above what a client sends. */
const maxBodyBytes = 16 * 1024;
/** Grants and codes of one run; the oldest go first. */
const maxKept = 1000;

/**
 * An authorization server (RFC 6749, PKCE of RFC 7636, metadata of RFC 8414) and an API, in memory and on loopback alone. Its one client,
 * `demo`, is public. Refresh tokens rotate, and the use of an old one revokes the grant, as at a strict provider. A certified server would
 * put forty packages into the bundle of every installation, for the first ten minutes.
 */
export class DemoProvider {
  readonly issuer: string;
  /** Resolves when it no longer listens. */
  readonly closed: Promise<unknown>;
  readonly #server = createServer((request, response) => {
    this.#answer(request)
      .then((answer) => send(response, answer))
      .catch(() => void response.destroy());
  });
  readonly #codes = new Map<string, DemoCode>();
  readonly #grants = new Set<DemoGrant>();
  /** Refresh tokens that were used. */
  readonly #used = new Map<string, DemoGrant>();

  constructor(private readonly options: DemoProviderOptions) {
    this.issuer = `http://127.0.0.1:${options.port}`;
    this.closed = once(this.#server, "close");
  }

  /** @throws the error of the socket */
  async open(): Promise<void> {
    this.#server.listen(this.options.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage): Promise<DemoAnswer> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.issuer);
    const isPost = request.method === "POST";
    const fields = isPost ? await fieldsOf(request) : searchParams;
    if (fields === undefined) return { status: 413, json: { error: "invalid_request" } };
    if (pathname === "/.well-known/openid-configuration") return { status: 200, json: this.#metadata() };
    if (pathname === "/authorize") return this.#authorize(fields, isPost);
    if (pathname === "/token" && isPost) return this.#token(fields);
    if (pathname === "/revoke" && isPost) return this.#revoke(fields);
    if (pathname === "/api/user") return this.#user(request);
    return { status: 404, json: { error: "not_found" } };
  }

  #metadata(): object {
    const { issuer } = this;
    return {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/revoke`,
      userinfo_endpoint: `${issuer}/api/user`,
      response_types_supported: ["code"],
      grant_types_supported: ["authorization_code", "refresh_token"],
      code_challenge_methods_supported: ["S256"],
      token_endpoint_auth_methods_supported: ["none"],
      revocation_endpoint_auth_methods_supported: ["none"],
      authorization_response_iss_parameter_supported: true,
    };
  }

  /** A page with two buttons; each posts what the request asked. */
  #authorize(fields: URLSearchParams, isPost: boolean): DemoAnswer {
    const redirectUri = fields.get("redirect_uri") ?? "";
    const challenge = fields.get("code_challenge") ?? "";
    const scope = fields.get("scope") ?? "";
    const wrong = requestProblem(fields);
    if (wrong !== undefined) return { status: 400, page: refusalPage(wrong) };
    if (!isPost) return { status: 200, page: consentPage(fields) };
    const target = new URL(redirectUri);
    target.searchParams.set("state", fields.get("state") ?? "");
    target.searchParams.set("iss", this.issuer);
    if (fields.get("decision") === "allow") {
      const code = newToken();
      const expiresMs = this.options.clock.nowMs() + codeLifetimeMs;
      keep(this.#codes, code, { challenge, redirectUri, scope, expiresMs });
      target.searchParams.set("code", code);
    } else target.searchParams.set("error", "access_denied");
    return { status: 303, headers: { location: target.href } };
  }

  #token(fields: URLSearchParams): DemoAnswer {
    if (fields.get("client_id") !== "demo") return { status: 401, json: { error: "invalid_client" } };
    const type = fields.get("grant_type");
    if (type !== "authorization_code" && type !== "refresh_token")
      return { status: 400, json: { error: "unsupported_grant_type" } };
    const grant = type === "refresh_token" ? this.#refreshed(fields) : this.#redeemed(fields);
    if (grant === undefined) {
      this.options.onToken(`refused: ${type}`);
      return { status: 400, json: { error: "invalid_grant" } };
    }
    const { tokenLifetimeMs } = this.options;
    this.options.onToken(
      `issued token ${grant.tokens} for ada (${type}), valid for ${tokenLifetimeMs / 1000} s`,
    );
    return {
      status: 200,
      json: {
        access_token: grant.access.token,
        token_type: "Bearer",
        expires_in: tokenLifetimeMs / 1000,
        refresh_token: grant.refreshToken,
        scope: grant.scope,
      },
    };
  }

  #redeemed(fields: URLSearchParams): DemoGrant | undefined {
    const code = fields.get("code") ?? "";
    const asked = this.#codes.get(code);
    this.#codes.delete(code);
    const challenge = createHash("sha256")
      .update(fields.get("code_verifier") ?? "")
      .digest("base64url");
    const fits = asked?.challenge === challenge && asked.redirectUri === fields.get("redirect_uri");
    if (!fits || this.options.clock.nowMs() > asked.expiresMs) return undefined;
    const grant = { scope: asked.scope, tokens: 1, access: this.#newAccess(), refreshToken: newToken() };
    const [oldest] = this.#grants;
    if (oldest && this.#grants.size >= maxKept) this.#grants.delete(oldest);
    this.#grants.add(grant);
    return grant;
  }

  #refreshed(fields: URLSearchParams): DemoGrant | undefined {
    const token = fields.get("refresh_token") ?? "";
    const reused = this.#used.get(token);
    if (reused) this.#grants.delete(reused);
    const grant = [...this.#grants].find(({ refreshToken }) => refreshToken === token);
    if (grant === undefined) return undefined;
    keep(this.#used, token, grant);
    grant.tokens += 1;
    grant.access = this.#newAccess();
    grant.refreshToken = newToken();
    return grant;
  }

  #newAccess(): DemoGrant["access"] {
    return { token: newToken(), expiresMs: this.options.clock.nowMs() + this.options.tokenLifetimeMs };
  }

  /** RFC 7009: what is unknown is revoked already. */
  #revoke(fields: URLSearchParams): DemoAnswer {
    const token = fields.get("token");
    const grant = [...this.#grants].find(
      ({ access, refreshToken }) => access.token === token || refreshToken === token,
    );
    if (grant) {
      this.#grants.delete(grant);
      this.options.onToken("revoked the grant of ada");
    }
    return { status: 200, json: {} };
  }

  /** The API: who the user is, and which token asked. */
  #user(request: IncomingMessage): DemoAnswer {
    const [, token] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
    const now = this.options.clock.nowMs();
    const grant = [...this.#grants].find(({ access }) => access.token === token && now < access.expiresMs);
    if (grant) return { status: 200, json: { sub: "ada", login: "ada", token: grant.tokens } };
    const headers = { "www-authenticate": 'Bearer error="invalid_token"' };
    return { status: 401, headers, json: { error: "invalid_token" } };
  }
}

function newToken(): string {
  return randomBytes(32).toString("base64url");
}

function keep<Value>(kept: Map<string, Value>, key: string, value: Value): void {
  const [oldest] = kept.keys();
  if (oldest !== undefined && kept.size >= maxKept) kept.delete(oldest);
  kept.set(key, value);
}

/** What is wrong with an authorization request; it leads back to this machine alone (RFC 8252 section 7.3). */
function requestProblem(fields: URLSearchParams): string | undefined {
  if (fields.get("client_id") !== "demo")
    return "The only client here is demo: add the provider with --client-id demo.";
  const redirectUri = fields.get("redirect_uri") ?? "";
  const isLocal =
    /^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?\//.test(redirectUri) && URL.canParse(redirectUri);
  if (!isLocal)
    return "The redirect URI must lead to http://localhost: the demo provider serves this machine alone.";
  const isCode = fields.get("response_type") === "code" && fields.get("code_challenge_method") === "S256";
  return isCode ? undefined : "The request must ask for a code, with a code challenge (PKCE, S256).";
}

/** Undefined when the body is too long. */
async function fieldsOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const length = Number(request.headers["content-length"] ?? Number.NaN);
  if (!(length <= maxBodyBytes)) return undefined;
  return new URLSearchParams(await text(request));
}

function send(response: ServerResponse, { status, headers, json, page }: DemoAnswer): void {
  const csp = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
  const type = page === undefined ? "application/json" : "text/html; charset=utf-8";
  response.writeHead(status, {
    ...headers,
    ...{ "content-type": type, "cache-control": "no-store", "content-security-policy": csp },
  });
  response.end(page ?? `${JSON.stringify(json ?? {})}\n`);
}
