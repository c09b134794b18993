import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { answerConsent, Browser } from "../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../fakes/openid_provider.js";
import { type Answer, answer, chats } from "./chats.js";
import { client, internetAddress } from "./hosts.js";

/** Of the providers' tokens: what a walk lives through. */
export const accessTokenTtlSeconds = 8;

/** RFC 8693 section 2.2.1. */
const exchanged = { issued_token_type: "urn:ietf:params:oauth:token-type:access_token" };

/** Issuers of which each is an `oidc-provider`, and the names of the profiles that come back from there. */
const issuers: Readonly<Record<string, readonly string[]>> = {
  "github.com": ["github", "github-2"],
  "accounts.google.com": ["google"],
  "login.acme.example": ["acme"],
};

/** Paths that a provider has for those of `oidc-provider`. */
const paths: Readonly<Record<string, string>> = {
  "github.com/login/oauth/authorize": "/auth",
  "github.com/login/oauth/access_token": "/token",
};

/**
 * The providers and their APIs, on port 443 of the address that all names lead to, and the browser of the user, which opens what the
 * machine's `xdg-open` is given.
 */
export class Internet {
  /** What the user does on the page of a provider. */
  decision: "allow" | "deny" | "deny after a refresh" = "allow";
  /** The status of each page at which the browser ended. */
  readonly visits: { readonly url: string; readonly status: number }[] = [];
  /** What an API got: the host and the path, `401` where it came without a living token. */
  readonly requests: string[] = [];
  readonly #tokens = new Map<string, number>();
  readonly #devices = new Set<string>();
  /** Of pages whose user waits. */
  readonly #onRefresh: (() => void)[] = [];
  #providers: ReadonlyMap<string, OpenIdProvider> = new Map();
  readonly #tls: Server;
  readonly #opener = createHttpServer((request, response) => void this.#open(request, response));

  private constructor() {
    const folder = process.env["WALK_FOLDER"] ?? "";
    const [cert, key] = ["cert.pem", "key.pem"].map((name) => readFileSync(join(folder, name)));
    const options = { cert, key, requestCert: true, rejectUnauthorized: false };
    this.#tls = createServer(options, (request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<Internet> {
    const internet = new Internet();
    const started = Object.entries(issuers).map(async ([host, names]) => {
      const redirect_uris = names.map((name) => `http://localhost:8080/auth/callback/${name}`);
      const provider = await startOpenIdProvider({
        issuer: `https://${host}`,
        accessTokenTtlSeconds,
        scopes: ["read:user", "email", "profile", "invoices:read"],
        redirectUris: redirect_uris,
        clients: [
          {
            ...{ client_id: client.id, client_secret: client.secret, redirect_uris },
            token_endpoint_auth_method: "client_secret_post",
          },
        ],
      });
      return [host, provider] as const;
    });
    internet.#providers = new Map(await Promise.all(started));
    await once(internet.#tls.listen(443, internetAddress), "listening");
    await once(internet.#opener.listen(0, "127.0.0.1"), "listening");
    return internet;
  }

  /** Where `xdg-open` posts what it is given. */
  get opener(): string {
    return `http://127.0.0.1:${(this.#opener.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    for (const server of [this.#tls, this.#opener]) {
      server.closeAllConnections();
      server.close();
    }
    await Promise.all([...this.#providers.values()].map((provider) => provider.stop()));
  }

  async #open(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URLSearchParams(await bodyOf(request)).get("url") ?? "";
    response.end();
    const browser = new Browser();
    const opened = await browser.get(url);
    const { decision } = this;
    if (decision === "deny after a refresh")
      await new Promise<void>((resolve) => void this.#onRefresh.push(resolve));
    const page = await answerConsent(browser, opened, decision === "allow" ? "allow" : "deny");
    this.visits.push({ url: page.url, status: page.status });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host = "" } = request.headers;
    const [path = "/"] = (request.url ?? "/").split("?");
    const body = await bodyOf(request);
    const scripted = this.#scripts[`${host}${path}`] ?? this.#deviceGrant(body) ?? this.#exchange(body);
    const provider = this.#providers.get(host);
    if (scripted) scripted(response, body, request);
    else if (provider) this.#pass(provider, paths[`${host}${path}`] ?? path, request, body, response);
    else this.#api(host, path, request, response);
  }

  readonly #scripts: Readonly<Record<string, Answer>> = {
    "login.example/oauth/token": (response) => this.#issue(response),
    "login.bank.example/token": (response) => this.#issue(response),
    "oauth2.googleapis.com/token": (response) => this.#issue(response),
    "api.github.com/app/installations/12345678/access_tokens": (response) => {
      const token = this.#newToken();
      const expires_at = new Date(Date.now() + 3_600_000).toISOString();
      answer(response, 201, { token, expires_at, permissions: { contents: "read" } });
    },
    "github.com/login/device/code": (response) => {
      const device_code = randomBytes(8).toString("hex");
      this.#devices.add(device_code);
      const verification_uri = "https://github.com/login/device";
      answer(response, 200, {
        device_code,
        user_code: "WALK-1234",
        verification_uri,
        expires_in: 900,
        interval: 1,
      });
    },
    "hooks.example.com/nexus": (response) => answer(response, 200, {}),
    ...chats,
    "login.bank.example/.well-known/openid-configuration": (response) =>
      answer(response, 200, {
        issuer: "https://login.bank.example",
        authorization_endpoint: "https://login.bank.example/auth",
        token_endpoint: "https://login.bank.example/token",
        jwks_uri: "https://login.bank.example/jwks",
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
      }),
  };

  /** The user enters the code at once. */
  #deviceGrant(body: string): Answer | undefined {
    const code = new URLSearchParams(body).get("device_code") ?? "";
    return this.#devices.delete(code) ? (response) => this.#issue(response) : undefined;
  }

  /** RFC 8693, for whoever asks. */
  #exchange(body: string): Answer | undefined {
    return body.includes("token-exchange") ? (response) => this.#issue(response, exchanged) : undefined;
  }

  #issue(response: ServerResponse, more: object = {}): void {
    const access_token = this.#newToken();
    answer(response, 200, { access_token, token_type: "Bearer", expires_in: accessTokenTtlSeconds, ...more });
  }

  #newToken(): string {
    const token = randomBytes(16).toString("hex");
    this.#tokens.set(token, Date.now() + accessTokenTtlSeconds * 1_000);
    return token;
  }

  /** To the library, as a proxy that ends TLS before it, which notes the tokens that it issues. */
  #pass(
    provider: OpenIdProvider,
    path: string,
    { method, headers, url = "/" }: IncomingMessage,
    body: string,
    response: ServerResponse,
  ): void {
    const [, query] = url.split("?");
    const onward = request(
      {
        ...{ host: "127.0.0.1", port: provider.port, method },
        path: query === undefined ? path : `${path}?${query}`,
        headers: { ...headers, "x-forwarded-proto": "https", "x-forwarded-host": headers.host },
      },
      async (incoming) => {
        const text = await bodyOf(incoming);
        if (path === "/token") this.#note(text);
        const { "transfer-encoding": _, ...kept } = incoming.headers;
        response.writeHead(incoming.statusCode ?? 502, {
          ...kept,
          "content-length": Buffer.byteLength(text),
        });
        response.end(text, () => {
          if (body.includes("grant_type=refresh_token")) for (const go of this.#onRefresh.splice(0)) go();
        });
      },
    );
    onward.once("error", () => response.writeHead(502).end());
    onward.end(body);
  }

  #note(text: string): void {
    const { access_token: token } = JSON.parse(text) as { access_token?: string };
    if (token !== undefined) this.#tokens.set(token, Date.now() + accessTokenTtlSeconds * 1_000);
  }

  #api(host: string, path: string, { headers, method }: IncomingMessage, response: ServerResponse): void {
    const [, bearer = ""] = /^(?:Bearer|token) (\S+)$/i.exec(headers.authorization ?? "") ?? [];
    const isAlive = (this.#tokens.get(bearer) ?? 0) > Date.now();
    this.requests.push(`${method} ${host}${path}${isAlive ? "" : " 401"}`);
    if (isAlive) answer(response, 200, { login: "ada", id: 1, path });
    else answer(response, 401, { message: "Bad credentials" });
  }
}

async function bodyOf(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
