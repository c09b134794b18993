import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { LoopbackServer } from "../fakes/loopback_server.js";

/** What fixtures hold in their profiles and links, so the tests listen there again. Nothing else of this machine does. */
export const frozenHost = "127.61.2.83";
export const providerPort = 9461;
export const browserPort = 9462;
export const frozenClient = { clientId: "frozen client", clientSecret: "frozen secret: of a test" } as const;

/** A request as it came, to the token endpoint or to another one. */
interface FrozenRequest {
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
}

/**
 * An authorization server, its API, and a receiver of webhooks. Its tokens say which grant they are of: `frozen-refresh-3-1` is the
 * first refresh token of the third grant, and is answered with `frozen-refresh-3-2`. So it needs no memory beside a fixture.
 */
export class FrozenProvider extends LoopbackServer {
  readonly requests: FrozenRequest[] = [];
  /** The number of the next grant. */
  next = 1;
  /** Paths that answer 503. */
  readonly down = new Set<string>();
  /** Grants whose refresh is refused for good. */
  readonly lost = new Set<number>();
  /** Grants whose refresh is not answered. */
  readonly silent = new Set<number>();
  /** The user says no. */
  denies = false;

  static async start(): Promise<FrozenProvider> {
    return await new FrozenProvider().open(providerPort, frozenHost);
  }

  /** What the token endpoint got, as `client_id` and the secret that came with it, and the refresh token. */
  get refreshes(): string[] {
    return this.requests.flatMap(({ params: { refresh_token, client_id, client_secret } }) =>
      refresh_token === undefined ? [] : [[client_id, client_secret, refresh_token].join(" ")],
    );
  }

  at(path: string): FrozenRequest[] {
    return this.requests.filter((request) => request.path === path);
  }

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    const body = await text(request);
    const isForm = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
    const params = Object.fromEntries(isForm ? new URLSearchParams(body) : url.searchParams);
    const { pathname: path } = url;
    this.requests.push({ path, params, body, headers: request.headers });
    const answer = (status: number, value: object) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (this.down.has(path)) return void answer(503, {});
    if (path === "/authorize") return this.#authorize(url.searchParams, response);
    if (path === "/token") {
      if (this.silent.has(grantOf(params))) return;
      const [status, value] = this.#token(params, request.headers["dpop"] === undefined ? "Bearer" : "DPoP");
      return void answer(status, value);
    }
    answer(200, {});
  }

  #authorize(params: URLSearchParams, response: ServerResponse): void {
    const back = new URL(params.get("redirect_uri") ?? "");
    back.searchParams.set("state", params.get("state") ?? "");
    if (this.denies) back.searchParams.set("error", "access_denied");
    else back.searchParams.set("code", `frozen-code-${this.next++}`);
    response.writeHead(302, { location: back.href }).end();
  }

  #token(params: Readonly<Record<string, string>>, token_type: string): [status: number, value: object] {
    const { grant_type, refresh_token, scope } = params;
    const life = { token_type, expires_in: 3600, scope: scope ?? "read" };
    if (grant_type === "client_credentials") return [200, { access_token: "frozen-machine", ...life }];
    const grant = grantOf(params);
    if (!(grant > 0) || this.lost.has(grant)) return [400, { error: "invalid_grant" }];
    const turn = Number(refresh_token?.split("-").at(-1) ?? 0) + 1;
    const tokens = {
      access_token: `frozen-access-${grant}-${turn}`,
      refresh_token: `frozen-refresh-${grant}-${turn}`,
    };
    return [200, { ...tokens, ...life }];
  }
}

/** The number of the grant that a code or a refresh token is of. */
function grantOf({ code, refresh_token }: Readonly<Record<string, string>>): number {
  return Number(/^frozen-(?:code|refresh)-(\d+)/.exec(code ?? refresh_token ?? "")?.[1]);
}
