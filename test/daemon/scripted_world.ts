import type { ServerResponse } from "node:http";
import type { JsonObject } from "../../src/model/json.js";
import { Browser, type Page } from "../fakes/browser.js";
import {
  json,
  type Script,
  type ScriptedRequest,
  type ScriptedServer,
  startScriptedServer,
} from "../oauth/scripted_server.js";
import { Place, TestDaemon } from "./harness.js";
import { RestClient } from "./rest_client.js";

export type AnswerToken = (request: ScriptedRequest) => Script;

export const returnUrl = "http://127.0.0.1:3999/back?tab=1";

/** A token endpoint that does its duty: another access token each time, and a refresh token. */
export function goodTokens(): AnswerToken {
  let count = 0;
  return () => {
    count++;
    const tokens = { access_token: `access-${count}-secret`, refresh_token: `refresh-${count}-secret` };
    return json({ ...tokens, token_type: "Bearer", expires_in: 3600 });
  };
}

/** A daemon asked as today's clients ask, and an authorization server that says what a test wants said. */
export class ScriptedWorld extends TestDaemon {
  /** What came to the authorization endpoint. */
  readonly authorizations: URLSearchParams[] = [];
  /** What came to the token endpoint. */
  readonly tokenRequests: ScriptedRequest[] = [];
  answerToken: AnswerToken = goodTokens();
  /** Further documents by path: discovery, keys. */
  readonly documents = new Map<string, () => object>();
  /** What answers at further paths, the API's for one. */
  readonly api = new Map<string, Script>();
  /** What the person does. */
  decision: "allow" | "deny" = "allow";
  rest!: RestClient;

  private constructor(
    place: Place,
    readonly provider: ScriptedServer,
  ) {
    super(place);
    provider.script = (response, request) => this.#serve(response, request);
  }

  static async make(environment: NodeJS.ProcessEnv = {}): Promise<ScriptedWorld> {
    const place = await Place.make(environment);
    const world = new ScriptedWorld(place, await startScriptedServer());
    await world.start();
    world.rest = await RestClient.connect(place.httpUrl, place.apiKey);
    return world;
  }

  override async close(): Promise<void> {
    await super.close();
    await this.provider.close();
  }

  /** Registers a profile of the authorization server, and answers its id. */
  async register(more: JsonObject = {}): Promise<string> {
    const profile = {
      name: `provider-${this.authorizations.length}-${Math.random().toString(36).slice(2)}`,
      client_id: "the-client",
      client_secret: "the-client-secret",
      auth_url: `${this.provider.origin}/authorize`,
      token_url: `${this.provider.origin}/token`,
      ...more,
    };
    const { status, body } = await this.rest.post("/v1/providers", { profile });
    if (status !== 201) throw new Error(body.message);
    return body.id;
  }

  async request(providerId: string, more: JsonObject = {}) {
    const { status, body } = await this.rest.post("/v1/request-connection", {
      user_id: "ada",
      provider_id: providerId,
      return_url: returnUrl,
      ...more,
    });
    if (status !== 200) throw new Error(body.message);
    return body as { authUrl: string; state: string; scopes: string[]; connection_id: string };
  }

  /** The person's way, to the page that the caller wants the browser to come back to. */
  consent(authUrl: string, browser = new Browser()): Promise<Page> {
    return browser.get(authUrl, (url) => url.startsWith("http://127.0.0.1:3999/"));
  }

  /** A connection that is active. */
  async connect(providerId: string, more: JsonObject = {}): Promise<string> {
    const { authUrl, connection_id } = await this.request(providerId, more);
    const page = await this.consent(authUrl);
    if (!page.url.includes("status=success")) throw new Error(`consent ended at ${page.url}: ${page.body}`);
    return connection_id;
  }

  /** In the words of the new contract. */
  async status(connectionId: string): Promise<string> {
    return (await this.rest.get(`/v1/check-connection/${connectionId}`)).body.state;
  }

  token(connectionId: string) {
    return this.rest.get(`/v1/token/${connectionId}`);
  }

  refresh(connectionId: string) {
    return this.rest.post(`/v1/refresh/${connectionId}`);
  }

  #serve(response: ServerResponse, request: ScriptedRequest): void {
    const url = new URL(request.path, this.provider.origin);
    if (url.pathname === "/authorize") {
      this.authorizations.push(url.searchParams);
      const back = new URL(url.searchParams.get("redirect_uri") ?? "");
      back.searchParams.set("state", url.searchParams.get("state") ?? "");
      if (this.decision === "deny") back.searchParams.set("error", "access_denied");
      else back.searchParams.set("code", `code-${this.authorizations.length}-secret`);
      response.writeHead(302, { location: back.href }).end();
      return;
    }
    if (url.pathname === "/token") {
      this.tokenRequests.push(request);
      this.answerToken(request)(response, request);
      return;
    }
    const script = this.api.get(url.pathname);
    const document = this.documents.get(url.pathname);
    if (script) script(response, request);
    else if (document) json(document())(response, request);
    else response.writeHead(404).end();
  }
}
