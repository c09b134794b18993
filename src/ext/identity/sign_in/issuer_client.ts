import {
  type AuthorizationServer,
  authorizationUrl,
  exchangeForClaims,
  fetchDiscoveryDocument,
  fromDiscoveryDocument,
  type InvalidResponse,
  type OAuthClient,
  verifySignedResponse,
} from "../../../oauth/oauth.js";
import type { OutboundFetch } from "../../../outbound/outbound.js";
import { type Clock, type Log, Secret, SingleFlight } from "../../../runtime/runtime.js";
import { readSecretFile } from "../../../vault/vault.js";
import type { NamedIssuer, SignInConfig } from "../issuers_document.js";
import type { Binding } from "./bindings.js";

/** A document older than this is fetched again before it is used; the old one serves where the new one cannot be had. */
const freshMs = 600_000;
/** After a failed fetch; meanwhile sign-ins fail at once, or go by the old document. */
const retryMs = 5_000;

/** An issuer at which people sign in. */
export type SignInIssuer = NamedIssuer & { readonly signIn: SignInConfig };

/** The issuer, or what the operator configured of it, cannot be used. The message is for the log, and names no secret. */
export class IssuerUnavailable extends Error {
  override readonly name = "IssuerUnavailable";
}

export interface IssuerClientDeps {
  readonly outbound: OutboundFetch;
  readonly clock: Clock;
  readonly log: Log;
}

/** The daemon as a client of an issuer: OpenID Connect Core 1.0 section 3.1, with PKCE. */
export class IssuerClient {
  readonly #flights = new SingleFlight<"discover", AuthorizationServer>();
  #server: AuthorizationServer | undefined;
  #fetchedAtMs = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  /** @param config the first of those with the issuer and the audience: they have one `signIn` */
  constructor(
    readonly config: SignInIssuer,
    private readonly deps: IssuerClientDeps,
  ) {}

  /** @throws IssuerUnavailable */
  async authorizationUrl({ state, nonce, codeVerifier }: Binding, redirectUri: string): Promise<string> {
    const { audience: clientId, signIn } = this.config;
    const scopes = [...new Set(["openid", ...signIn.scopes])];
    const server = await this.server();
    return authorizationUrl({ server, clientId, redirectUri, scopes, state, nonce, codeVerifier });
  }

  /** The parameters of the response that came, verified where the issuer signs it. @throws IssuerUnavailable */
  async opened(query: URLSearchParams): Promise<URLSearchParams | InvalidResponse> {
    const { outbound, clock } = this.deps;
    const server = await this.server();
    if (!server.signsResponses) return query;
    return await verifySignedResponse({
      ...{ server, client: this.#clientAt(server), fetch: outbound, clock, query },
    });
  }

  /**
   * @param params of the response, as `processAuthorizationResponse` has judged it
   * @returns the claims of the verified id_token
   * @throws IssuerUnavailable, GrantFailure
   */
  async claims(
    params: URLSearchParams,
    { nonce, codeVerifier }: Binding,
    redirectUri: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { outbound, clock } = this.deps;
    const server = await this.server();
    const client = this.#clientAt(server);
    const sent = { params, redirectUri, codeVerifier, expectedNonce: nonce };
    return await exchangeForClaims({ server, client, clock, fetch: outbound, ...sent });
  }

  #clientAt({ announced }: AuthorizationServer): OAuthClient {
    const { audience: clientId, signIn } = this.config;
    if (signIn.clientSecretFile === undefined) return { clientId, method: "none" };
    const methods = announced.tokenEndpointAuthMethods;
    // RFC 8414 section 2: Basic, where a document says nothing.
    const isByPost = methods.includes("client_secret_post") && !methods.includes("client_secret_basic");
    const method = isByPost ? "client_secret_post" : "client_secret_basic";
    return { clientId, method, clientSecret: readSecret(signIn.clientSecretFile) };
  }

  /** @throws IssuerUnavailable */
  async server(): Promise<AuthorizationServer> {
    const { clock, log } = this.deps;
    const nowMs = clock.monotonicMs();
    if (this.#server && nowMs - this.#fetchedAtMs < freshMs) return this.#server;
    try {
      if (nowMs < this.#notBeforeMs)
        throw new IssuerUnavailable("its discovery document could not be fetched");
      return await this.#flights.run("discover", () => this.#discover());
    } catch (error) {
      this.#notBeforeMs = Math.max(this.#notBeforeMs, clock.monotonicMs() + retryMs);
      if (!(error instanceof Error)) throw error;
      if (!this.#server) throw new IssuerUnavailable(error.message);
      log.warn({ issuer: this.config.name, reason: error.message }, "discovery document not refetched");
      return this.#server;
    }
  }

  async #discover(): Promise<AuthorizationServer> {
    const { issuer } = this.config;
    const server = fromDiscoveryDocument(issuer, await fetchDiscoveryDocument(issuer, this.deps.outbound));
    // The people of every organisation would be let in.
    if (server.tenantIssuer !== undefined)
      throw new IssuerUnavailable("it is the issuer of many organizations: name that of yours");
    if (server.authorizationEndpoint === "" || server.keys === undefined)
      throw new IssuerUnavailable("its discovery document lacks authorization_endpoint or jwks_uri");
    this.#server = server;
    this.#fetchedAtMs = this.deps.clock.monotonicMs();
    return server;
  }
}

/** Also tried at the start, so that a wrong path is no surprise to the first person who signs in. @throws IssuerUnavailable */
export function readSecret(path: string): Secret {
  let text: string;
  try {
    text = readSecretFile(path).trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new IssuerUnavailable(code === undefined ? message : `${path} cannot be read (${code})`);
  }
  if (text === "") throw new IssuerUnavailable(`${path} is empty`);
  return new Secret(text);
}
