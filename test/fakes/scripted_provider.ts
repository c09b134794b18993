import { createHash, randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { LoopbackServer } from "./loopback_server.js";

/** How the provider differs from the RFCs; what it wants and does not get, it refuses. */
export interface Behaviour {
  /** Answers `code_challenge` with an error, as servers do that take no parameter they do not know. */
  readonly rejectsPkce?: boolean;
  /** Knows only this between scopes, and refuses a scope it does not know. Default a space. */
  readonly scopeSeparator?: string;
  readonly rejectsScope?: boolean;
  /** The person says no. */
  readonly deniesConsent?: boolean;
  /** Parameters that the authorization request must have. */
  readonly wantsAuthorizationParams?: Readonly<Record<string, string>>;
  readonly clientAuthentication?: "body" | "basic";
  readonly tokenRequest?: "form" | "json";
  readonly wantsExchangeParams?: Readonly<Record<string, string>>;
  readonly wantsRefreshParams?: Readonly<Record<string, string>>;
  readonly wantsTokenHeaders?: Readonly<Record<string, string>>;
  /** Refreshes only here. Default the token endpoint. */
  readonly refreshPath?: string;
  /** Shapes an answer from the standard one. */
  readonly shapeAnswer?: (standard: StandardAnswer, grant: "code" | "refresh") => unknown;
  /** What it adds to the callback. */
  readonly callbackParams?: Readonly<Record<string, string>>;
  /** Answers errors with HTTP 200, in Slack's way or in GitHub's. */
  readonly errorsWith200?: "ok_false" | "error_only";
  /** Says an error in its own way. */
  readonly shapeRefusal?: (error: string) => unknown;
  /** Answers a form and not JSON unless it is asked for JSON by this very header. */
  readonly defaultsToForm?: boolean;
}

export interface StandardAnswer {
  readonly access_token: string;
  readonly token_type: "Bearer";
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

/** A token request as it came. */
export interface ReceivedTokenRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly params: Readonly<Record<string, string>>;
  /** What was wrong with it; undefined for a success. */
  readonly refusal: string | undefined;
}

const knownScopes = ["read", "write", "repo"];
export const scriptedClient = { clientId: "the client", clientSecret: "s3cret:/+ ü" } as const;

/**
 * An authorization server without pages, whose behaviour is switched by quirk. It consents at once, rotates refresh tokens, ends the
 * grant on reuse, and verifies PKCE, the client and the redirect URI as the RFCs have it.
 */
export class ScriptedProvider extends LoopbackServer {
  readonly authorizations: URLSearchParams[] = [];
  readonly tokenRequests: ReceivedTokenRequest[] = [];
  behaviour: Behaviour = {};
  /** Makes the next refresh fail with this error. */
  failNextRefresh: string | undefined;
  #grants = new Map<string, { redirectUri: string; challenge: string | null; scope: string }>();
  #refreshTokens = new Map<string, string>();

  static start(): Promise<ScriptedProvider> {
    return new ScriptedProvider().open();
  }

  get authUrl(): string {
    return `${this.origin}/authorize`;
  }

  get tokenUrl(): string {
    return `${this.origin}/token`;
  }

  /** Forgets what it received and issued, and behaves like this from now on. */
  become(behaviour: Behaviour): void {
    this.behaviour = behaviour;
    this.failNextRefresh = undefined;
    this.authorizations.length = 0;
    this.tokenRequests.length = 0;
    this.#grants.clear();
    this.#refreshTokens.clear();
  }

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    if (request.method === "GET" && url.pathname === "/authorize") {
      return this.#authorize(url.searchParams, response);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.#token(url.pathname, request, Buffer.concat(chunks).toString("utf8"), response);
  }

  #authorize(query: URLSearchParams, response: ServerResponse): void {
    this.authorizations.push(query);
    const back = new URL(query.get("redirect_uri") ?? "");
    back.searchParams.set("state", query.get("state") ?? "");
    const refusal = this.#authorizationRefusal(query);
    if (refusal === undefined) {
      const code = token();
      this.#grants.set(code, {
        redirectUri: query.get("redirect_uri") ?? "",
        challenge: query.get("code_challenge"),
        scope: query.get("scope") ?? "",
      });
      back.searchParams.set("code", code);
      for (const [name, value] of Object.entries(this.behaviour.callbackParams ?? {})) {
        back.searchParams.set(name, value);
      }
    } else {
      back.searchParams.set("error", refusal);
    }
    response.writeHead(302, { location: back.href }).end();
  }

  #authorizationRefusal(query: URLSearchParams): string | undefined {
    const { rejectsPkce, rejectsScope, scopeSeparator = " ", wantsAuthorizationParams } = this.behaviour;
    if (this.behaviour.deniesConsent) return "access_denied";
    if (rejectsPkce && (query.has("code_challenge") || query.has("code_challenge_method"))) {
      return "invalid_request";
    }
    const scopes = (query.get("scope") ?? "").split(scopeSeparator).filter((scope) => scope !== "");
    if (rejectsScope ? query.has("scope") : scopes.some((scope) => !knownScopes.includes(scope))) {
      return "invalid_scope";
    }
    const missing = Object.entries(wantsAuthorizationParams ?? {}).some(
      ([name, value]) => query.get(name) !== value,
    );
    return missing || query.get("client_id") !== scriptedClient.clientId ? "invalid_request" : undefined;
  }

  #token(path: string, request: IncomingMessage, body: string, response: ServerResponse): void {
    const { headers } = request;
    const isJson = headers["content-type"]?.startsWith("application/json") === true;
    const params = (isJson ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body))) as Record<
      string,
      string
    >;
    const refusal =
      this.#requestRefusal(headers, params, isJson) ??
      (params["grant_type"] === "refresh_token"
        ? this.#refreshRefusal(path, params)
        : this.#exchangeRefusal(path, params));
    this.tokenRequests.push({
      path,
      headers: headers as Record<string, string | undefined>,
      params,
      refusal,
    });
    if (refusal !== undefined) {
      this.#refuse(refusal, response);
      return;
    }
    const grant = params["grant_type"] === "refresh_token" ? "refresh" : "code";
    const standard = this.#issue(params);
    const shaped = this.behaviour.shapeAnswer?.(standard, grant) ?? standard;
    if (this.behaviour.defaultsToForm && headers.accept !== "application/json") {
      response.writeHead(200, { "content-type": "application/x-www-form-urlencoded" });
      response.end(new URLSearchParams(shaped as Record<string, string>).toString());
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(shaped));
  }

  #requestRefusal(
    headers: IncomingMessage["headers"],
    params: Readonly<Record<string, string>>,
    isJson: boolean,
  ): string | undefined {
    const { clientAuthentication = "body", tokenRequest = "form", wantsTokenHeaders } = this.behaviour;
    if (isJson !== (tokenRequest === "json")) return "invalid_request";
    const encode = (text: string): string => new URLSearchParams({ "": text }).toString().slice(1);
    const basic = `Basic ${Buffer.from(
      `${encode(scriptedClient.clientId)}:${encode(scriptedClient.clientSecret)}`,
    ).toString("base64")}`;
    const isClient =
      clientAuthentication === "basic"
        ? headers.authorization === basic && params["client_secret"] === undefined
        : headers.authorization === undefined &&
          params["client_id"] === scriptedClient.clientId &&
          params["client_secret"] === scriptedClient.clientSecret;
    if (!isClient) return "invalid_client";
    return hasAll(headers, wantsTokenHeaders) ? undefined : "invalid_request";
  }

  #exchangeRefusal(path: string, params: Readonly<Record<string, string>>): string | undefined {
    if (path !== "/token" || params["grant_type"] !== "authorization_code") return "unsupported_grant_type";
    const grant = this.#grants.get(params["code"] ?? "");
    this.#grants.delete(params["code"] ?? "");
    if (!grant || grant.redirectUri !== params["redirect_uri"]) return "invalid_grant";
    const verifier = params["code_verifier"];
    const challenge =
      verifier === undefined ? null : createHash("sha256").update(verifier).digest("base64url");
    if (challenge !== grant.challenge) return "invalid_grant";
    return hasAll(params, this.behaviour.wantsExchangeParams) ? undefined : "invalid_request";
  }

  #refreshRefusal(path: string, params: Readonly<Record<string, string>>): string | undefined {
    if (path !== (this.behaviour.refreshPath ?? "/token")) return "unsupported_grant_type";
    const failure = this.failNextRefresh;
    this.failNextRefresh = undefined;
    if (failure !== undefined) return failure;
    const refreshToken = params["refresh_token"] ?? "";
    if (!this.#refreshTokens.has(refreshToken)) return "invalid_grant";
    if (!hasAll(params, this.behaviour.wantsRefreshParams)) return "invalid_request";
    return undefined;
  }

  #issue(params: Readonly<Record<string, string>>): StandardAnswer {
    const scope = this.#refreshTokens.get(params["refresh_token"] ?? "") ?? "read write";
    this.#refreshTokens.delete(params["refresh_token"] ?? "");
    const refresh_token = token();
    this.#refreshTokens.set(refresh_token, scope);
    return { access_token: token(), token_type: "Bearer", expires_in: 3600, refresh_token, scope };
  }

  #refuse(error: string, response: ServerResponse): void {
    const { errorsWith200, shapeRefusal } = this.behaviour;
    response.writeHead(errorsWith200 ? 200 : 400, { "content-type": "application/json" });
    const standard = errorsWith200 === "ok_false" ? { ok: false, error } : { error };
    response.end(JSON.stringify(shapeRefusal?.(error) ?? standard));
  }
}

function hasAll(
  values: Readonly<Record<string, string | string[] | undefined>>,
  wanted: Readonly<Record<string, string>> = {},
): boolean {
  return Object.entries(wanted).every(([name, value]) => values[name] === value);
}

function token(): string {
  return randomBytes(16).toString("hex");
}
