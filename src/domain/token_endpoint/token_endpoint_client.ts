import {
  grantedByFile,
  provesByFile,
  provesByTls,
  signsByKeyFile,
} from "../../model/clients/client_proof.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import type { TokenSet } from "../../model/credentials/credential.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { type InvalidResponse, signsResponse } from "../../oauth/authorization_response.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { type OAuthClient, presentingCertificate } from "../../oauth/client_authentication.js";
import { DpopNonces } from "../../oauth/dpop/dpop_nonces.js";
import { type CodeExchange, exchangeCode } from "../../oauth/grants/code_exchange.js";
import {
  authorizeDevice,
  type DeviceAuthorization,
  type DeviceCodeRequest,
} from "../../oauth/grants/device_authorization.js";
import { type DevicePoll, type DevicePollOutcome, pollDevice } from "../../oauth/grants/device_grant.js";
import type { MintedToken } from "../../oauth/grants/minted_token.js";
import { type PushedRequest, pushAuthorizationRequest } from "../../oauth/grants/pushed_request.js";
import { type Revocation, type RevocationOutcome, revoke } from "../../oauth/grants/revocation.js";
import { type SignedRequest, signAuthorizationRequest } from "../../oauth/grants/signed_request.js";
import { codeChallenge } from "../../oauth/pkce.js";
import { verifySignedResponse } from "../../oauth/signed_response.js";
import type { ClientRequest } from "../../oauth/token_request.js";
import type { Renewed } from "../../oauth/token_response.js";
import { type AuthorityFiles, trusting } from "../../outbound/certificate_authorities.js";
import type { OutboundResponse } from "../../outbound/outbound_exchange.js";
import { OutboundError, type OutboundFetch, type OutboundRequest } from "../../outbound/outbound_fetch.js";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import type { CredentialVault } from "../connections/connections.js";
import type { AssertionFiles } from "./assertion_files.js";
import type { ClientKeys } from "./client_keys.js";
import type { MintRequest, RefreshRequest } from "./grant_type.js";
import type { TokenSources } from "./grant_types.js";
import type { IssuerMetadata } from "./issuer_metadata.js";
import type { KeyFiles } from "./key_files.js";

/** What proves clients. */
interface ClientProofs {
  readonly vault: CredentialVault;
  /** For profiles whose client signs by a key of the daemon. */
  readonly clientKeys?: Pick<ClientKeys, "signingKey">;
  readonly assertionFiles?: Pick<AssertionFiles, "read">;
  /** For profiles whose client signs by a key of a file. */
  readonly keyFiles?: Pick<KeyFiles, "read">;
}

/** The client of a profile, with what proves it opened for one request. Every endpoint gets the same. */
class OAuthClients {
  constructor(private readonly deps: ClientProofs) {}

  /** @throws DataLoss */
  open(profile: ProviderProfile): OAuthClient {
    const { assertionFiles, vault } = this.deps;
    const clientSecret = vault.openClientSecret(profile);
    const { tlsClientCertificate: chain, clientAssertionSource: source } = profile;
    return {
      clientId: profile.clientId,
      clientSecret,
      method: profile.tokenEndpointAuthMethod,
      signing: profile.oauth2,
      certificate: provesByTls(profile) && clientSecret ? { chain, privateKey: clientSecret } : undefined,
      assertion:
        assertionFiles && (provesByFile(profile) || grantedByFile(profile))
          ? { type: profile.oauth2.clientAssertionType, read: () => assertionFiles.read(source) }
          : undefined,
      ownKey: this.#keyOf(profile),
    };
  }

  #keyOf(profile: ProviderProfile): OAuthClient["ownKey"] {
    const { clientKeys, keyFiles } = this.deps;
    if (!signsByKeyFile(profile)) return clientKeys && ((alg) => clientKeys.signingKey(alg));
    const { clientKeySource: source, oauth2 } = profile;
    return (
      keyFiles && (async (alg) => ({ kid: oauth2.clientKeyId, privateKey: await keyFiles.read(source, alg) }))
    );
  }
}

/** Whom a request is sent to, and for which profile. */
interface EndpointRequest {
  readonly server: AuthorizationServer;
  readonly profile: ProviderProfile;
  /** The key that is proved (DPoP); undefined where none is. */
  readonly dpopKey?: Secret | undefined;
  readonly signal?: AbortSignal;
  /** As in `OutboundRequest`; called before each request that the grant takes. */
  readonly beforeSend?: OutboundRequest["beforeSend"];
}

/** A request of `oauth`, for a profile instead of its client. */
type ForProfile<Request extends ClientRequest> = Omit<Request, keyof ClientRequest> & EndpointRequest;

export type CodeExchangeRequest = Omit<ForProfile<CodeExchange>, "expectedNonce" | "requireIdToken"> & {
  /** Set when an id_token is required. */
  readonly nonce: string | undefined;
};

/** PKCE goes with it where the server announces it. */
export type DeviceAuthorizationRequest = Omit<ForProfile<DeviceCodeRequest>, "codeChallenge"> & {
  readonly codeVerifier: string;
};

export type DevicePollRequest = ForProfile<DevicePoll>;

/** `boundTo` as in `RefreshRequest`. */
export type RevocationRequest = ForProfile<Revocation> & { readonly boundTo: string | undefined };

/** The token belongs to another client, issuer or endpoint than the profile names now: nothing was sent. */
export class GrantMoved extends Error {
  constructor() {
    super("the grant was given to another client, issuer or token endpoint than the profile names now");
    this.name = "GrantMoved";
  }
}

/** Requests at the endpoints of an authorization server, with the client secret opened for one request at a time. */
export class TokenEndpointClient {
  readonly #clients: OAuthClients;
  readonly #nonces = new DpopNonces();

  constructor(
    private readonly deps: ClientProofs & {
      readonly clock: Clock;
      readonly outbound: OutboundFetch;
      readonly authorityFiles?: AuthorityFiles;
      readonly sources: TokenSources;
      /** Hears of endpoints that are not there. */
      readonly servers?: Pick<IssuerMetadata, "doubt">;
    },
  ) {
    this.#clients = new OAuthClients(deps);
  }

  /** @throws GrantFailure, DataLoss */
  async exchangeCode(request: CodeExchangeRequest): Promise<TokenSet> {
    const { nonce, dpopKey } = request;
    const sentMs = this.deps.clock.monotonicMs();
    const tokenSet = await exchangeCode({
      ...request,
      ...this.#clientRequest(request),
      expectedNonce: nonce,
      requireIdToken: nonce !== undefined,
    });
    return { ...this.#sentAt(sentMs, tokenSet), dpopKey };
  }

  /** The next token of a connection, by the grant type of its profile. @throws GrantFailure, GrantMoved, DataLoss */
  async refresh(request: RefreshRequest): Promise<Renewed> {
    refuseMoved(request);
    const { profile, dpopKey } = request;
    const source = await this.deps.sources.of(profile.grantType);
    const sentMs = this.deps.clock.monotonicMs();
    const renewed = await source.renew(this.#clientRequest(request), request);
    return { ...renewed, tokenSet: { ...this.#sentAt(sentMs, renewed.tokenSet), dpopKey } };
  }

  /**
   * Another token of the same client.
   *
   * @param send the one request
   * @throws GrantFailure, GrantMoved, DataLoss
   */
  async mint(
    request: MintRequest,
    send: (common: ClientRequest) => Promise<MintedToken>,
  ): Promise<MintedToken> {
    refuseMoved(request);
    const sentMs = this.deps.clock.monotonicMs();
    const { tokenSet } = await send(this.#clientRequest(request));
    return { tokenSet: this.#sentAt(sentMs, tokenSet) };
  }

  /** See `pushAuthorizationRequest`. @throws GrantFailure, DataLoss */
  async pushAuthorization(request: ForProfile<PushedRequest>): Promise<string> {
    return await pushAuthorizationRequest({ ...request, ...this.#clientRequest(request) });
  }

  /** See `signAuthorizationRequest`. @throws GrantFailure, DataLoss */
  async signAuthorization(request: ForProfile<SignedRequest>): Promise<string> {
    return await signAuthorizationRequest({ ...request, ...this.#clientRequest(request) });
  }

  /** What the browser brought: the parameters of the response that the server signed, or as it is where none has to be. */
  async openResponse(
    request: EndpointRequest & { readonly query: URLSearchParams },
  ): Promise<URLSearchParams | InvalidResponse> {
    const { server, profile, query } = request;
    if (!signsResponse(server, profile.oauth2)) return query;
    return await verifySignedResponse({ ...this.#clientRequest(request), query });
  }

  /** @throws GrantFailure, DataLoss */
  async authorizeDevice(request: DeviceAuthorizationRequest): Promise<DeviceAuthorization> {
    const { server, codeVerifier } = request;
    const challenge = server.announcesPkce ? codeChallenge(codeVerifier) : undefined;
    return await authorizeDevice({ ...request, ...this.#clientRequest(request), codeChallenge: challenge });
  }

  /** @throws GrantFailure, DataLoss */
  async pollDevice(request: DevicePollRequest): Promise<DevicePollOutcome> {
    const codeVerifier = request.server.announcesPkce ? request.codeVerifier : undefined;
    const poll = { ...request, ...this.#clientRequest(request), codeVerifier };
    const sentMs = this.deps.clock.monotonicMs();
    const outcome = await pollDevice(poll);
    if (outcome.kind !== "granted") return outcome;
    const { dpopKey } = request;
    return { ...outcome, tokenSet: { ...this.#sentAt(sentMs, outcome.tokenSet), dpopKey } };
  }

  /** @throws GrantMoved, DataLoss */
  async revoke(request: RevocationRequest): Promise<RevocationOutcome> {
    refuseMoved(request);
    return await revoke({ ...request, ...this.#clientRequest(request) });
  }

  /** Its lifetimes count from then: the answer may have lain in the socket while the process stood still. */
  #sentAt(sentMs: number, tokenSet: TokenSet): TokenSet {
    const ageMs = Math.ceil(this.deps.clock.monotonicMs() - sentMs);
    const left = (ms: number | undefined) => (ms === undefined ? undefined : Math.max(0, ms - ageMs));
    const { expiresInMs, refreshExpiresInMs } = tokenSet;
    return { ...tokenSet, expiresInMs: left(expiresInMs), refreshExpiresInMs: left(refreshExpiresInMs) };
  }

  async #send(url: string, request: OutboundRequest, profile: ProviderProfile): Promise<OutboundResponse> {
    const { outbound, servers, authorityFiles } = this.deps;
    try {
      const response = await trusting(outbound, authorityFiles, profile.apiCaFile)(url, request);
      if (isGone(response.status)) servers?.doubt(profile);
      return response;
    } catch (error) {
      if (error instanceof OutboundError && error.reason === "redirect") servers?.doubt(profile);
      throw error;
    }
  }

  #clientRequest({ server, profile, dpopKey: key, beforeSend }: EndpointRequest): ClientRequest {
    const { clock } = this.deps;
    const outbound: OutboundFetch = (url, request) => this.#send(url, { ...request, beforeSend }, profile);
    const client = this.#clients.open(profile);
    const isRequired = profile.oauth2.dpop === "always";
    return {
      ...{ server, client, options: profile.oauth2, clock },
      fetch: presentingCertificate(outbound, client.certificate, clock),
      dpop: key && { key, nonces: this.#nonces, isRequired },
    };
  }
}

/** Nothing stands there, or something else than before: RFC 9110 sections 15.5.5, 15.5.6 and 15.5.11. */
function isGone(httpStatus: number): boolean {
  return [404, 405, 410].includes(httpStatus);
}

/** No path to a provider can forget it: a token is not sent without what it is bound to. */
function refuseMoved({ boundTo, profile }: MintRequest): void {
  if (boundTo !== undefined && boundTo !== grantBinding(profile)) throw new GrantMoved();
}
