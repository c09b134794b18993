import { type CredentialVault, registrationPlace } from "../../domain/connections/connections.js";
import type { GivenClient, ReservedProfile } from "../../domain/profiles/profiles.js";
import { type ClientRegistration, jwksPath } from "../../model/credentials/credentials.js";
import { DataLoss, FailedPrecondition, newToken, Unavailable } from "../../model/model.js";
import type { ProviderProfile, TokenEndpointAuthMethod } from "../../model/providers/providers.js";
import { type AuthorizationServer, newCodeVerifier } from "../../oauth/oauth.js";
import {
  networkWords,
  OutboundError,
  type OutboundFetch,
  parseRetryAfterMs,
} from "../../outbound/outbound.js";
import type { Clock, Log, Secret } from "../../runtime/runtime.js";
import {
  type ClientMetadata,
  clientMetadata,
  clientMetadataPath,
  commonAuthMethods,
  ownSigningAlg,
} from "./client_metadata.js";
import {
  deleteRegistration,
  isTurnedAway,
  type RegisteredClient,
  RegistrationPutOff,
  RegistrationRefused,
  readRegistration,
  registerClient,
} from "./client_registration.js";
import { type DiscoveredMcpServer, issuerOf } from "./mcp_discovery.js";

/** After this, a server that could not register a client, and did not say when it can, is asked again. */
const registrationRetryMs = 5_000;

/** A client, as the profile holds it. */
export interface ProfileClient {
  readonly clientId: string;
  readonly clientSecret: Secret | undefined;
  readonly method: TokenEndpointAuthMethod;
  /** Undefined for one that a person registered. */
  readonly registration: ClientRegistration | undefined;
}

/** What a Client ID Metadata Document holds. */
export type ClientDocument = ClientMetadata & { readonly client_id: string; readonly client_uri: string };

/** How the daemon becomes a client of an authorization server: in the order of the MCP specification. */
export class McpClients {
  constructor(
    private readonly deps: {
      readonly vault: CredentialVault;
      readonly outbound: OutboundFetch;
      readonly clock: Clock;
      readonly log: Log;
      /** Without a trailing slash. */
      readonly publicUrl: string;
    },
  ) {}

  /**
   * The client of a person, else a document, else a dynamic registration.
   *
   * @throws FailedPrecondition when a person has to register one; Unavailable
   */
  async clientAt(
    discovered: DiscoveredMcpServer,
    reserved: ReservedProfile,
    given?: GivenClient,
  ): Promise<ProfileClient> {
    const { server } = discovered;
    if (given) return this.#givenClient(discovered, given);
    if (server.announced.clientIdMetadataDocument && this.#documentUrl(reserved.redirectPath)) {
      return this.#documentClient(discovered, reserved);
    }
    if (server.announced.registrationEndpoint !== undefined)
      return await this.#register(discovered, reserved);
    throw this.#interactionRequired(discovered, reserved, "registers no clients by itself");
  }

  /** A dynamic registration for the next method that both know; undefined where there is no other. @throws as `clientAt` */
  async otherClientAt(
    discovered: DiscoveredMcpServer,
    profile: ProviderProfile,
  ): Promise<ProfileClient | undefined> {
    const { tokenEndpointAuthMethod: refused } = profile;
    const methods = commonAuthMethods(discovered.server.announced.tokenEndpointAuthMethods);
    const next = methods[(methods.indexOf(refused) + 1) % methods.length];
    if (next === undefined || next === refused) return undefined;
    return await this.#register(discovered, profile, next);
  }

  /** See `isTurnedAway`. What is pushed or signed never is. */
  async isTurnedAway(
    server: AuthorizationServer,
    { redirectPath, scopes, oauth2: options, authorizationParams: extraParams }: ProviderProfile,
    clientId: string,
  ): Promise<boolean> {
    if (server.requiresPushedRequests || options.pushAuthorizationRequests) return false;
    if (server.requiresSignedRequests || options.signAuthorizationRequests) return false;
    const redirectUri = `${this.deps.publicUrl}${redirectPath}`;
    const request = { server, clientId, redirectUri, scopes, extraParams, options };
    const secrets = { state: newToken(), codeVerifier: newCodeVerifier() };
    return await isTurnedAway({ ...request, ...secrets }, this.deps.outbound);
  }

  /** The document of the profiles with this client; undefined when the path is that of none. */
  document(redirectPath: string, profiles: Iterable<ProviderProfile>): ClientDocument | undefined {
    const clientId = this.#documentUrl(redirectPath);
    if (clientId === undefined) return undefined;
    for (const { clientId: used, registration, tokenEndpointAuthMethod } of profiles) {
      if (registration?.kind !== "metadata_document" || used !== clientId) continue;
      const metadata = this.#metadata(redirectPath, tokenEndpointAuthMethod);
      return { client_id: clientId, client_uri: this.deps.publicUrl, ...metadata };
    }
    return undefined;
  }

  /**
   * What the server knows of a dynamic client by now (RFC 7592 section 2.1).
   *
   * @returns the client if its secret or access token is not the stored one. `unknown` if the server does not say, and `lost` if it no
   * longer knows the client or the client's secret has expired.
   */
  async reread(
    discovered: DiscoveredMcpServer,
    profile: ProviderProfile,
  ): Promise<ProfileClient | "unchanged" | "unknown" | "lost"> {
    const nowMs = this.deps.clock.nowMs();
    const hasEnded = (endMs: number | undefined): boolean => endMs !== undefined && endMs <= nowMs;
    const management = this.#managementOf(profile.id, profile.registration);
    if (!management) return hasEnded(profile.registration?.secretExpiresAtMs) ? "lost" : "unknown";
    const metadata = this.#metadata(profile.redirectPath, profile.tokenEndpointAuthMethod);
    let client: RegisteredClient | undefined;
    try {
      client = await readRegistration(discovered.server, metadata, management, this.deps.outbound);
    } catch (error) {
      const saysNothing = error instanceof RegistrationRefused || error instanceof RegistrationPutOff;
      if (saysNothing || error instanceof OutboundError) return "unknown";
      throw error;
    }
    if (client === undefined || client.clientId !== profile.clientId) return "lost";
    if (hasEnded(client.secretExpiresAtMs)) return "lost";
    const isSame =
      client.clientSecret?.reveal() === this.deps.vault.openClientSecret(profile)?.reveal() &&
      client.method === profile.tokenEndpointAuthMethod &&
      client.management?.accessToken.reveal() === management.accessToken.reveal();
    return isSame ? "unchanged" : this.#profileClient(profile.id, discovered, client);
  }

  /** Ends the registration of a profile's client at its server, if it can be: it is good for nothing, and does no harm. */
  async forget(providerId: string, registration: ClientRegistration | undefined): Promise<void> {
    const context = { providerId, issuer: registration?.issuer };
    try {
      const management = this.#managementOf(providerId, registration);
      if (!management) return;
      const isDeleted = await deleteRegistration(management, this.deps.outbound);
      if (isDeleted) this.deps.log.info(context, "client registration deleted");
      else this.deps.log.warn(context, "the server did not delete the client registration");
    } catch (error) {
      if (!(error instanceof OutboundError || error instanceof DataLoss)) throw error;
      this.deps.log.warn({ ...context, error: error.message }, "client registration not deleted");
    }
  }

  #managementOf(id: string, registration: ClientRegistration | undefined): RegisteredClient["management"] {
    const { configurationUrl: url, accessToken } = registration ?? {};
    if (!registration || url === undefined || accessToken === undefined) return undefined;
    return {
      url,
      accessToken: this.deps.vault.openToken(registrationPlace(id, registration.registeredAtMs), accessToken),
    };
  }

  #givenClient({ server, mcpServerUrl }: DiscoveredMcpServer, given: GivenClient): ProfileClient {
    const { clientId, clientSecret, issuer } = given;
    if (issuer !== "" && issuer !== issuerOf(server)) {
      throw new FailedPrecondition(
        "PROVIDER_MISCONFIGURED",
        `the client is registered at ${issuer}, and ${mcpServerUrl} names the authorization server ${issuerOf(server)}: give a client of that one`,
      );
    }
    const hasSecret = clientSecret !== undefined;
    const [common] = commonAuthMethods(server.announced.tokenEndpointAuthMethods, hasSecret);
    const method = common ?? (hasSecret ? "client_secret_basic" : "none");
    return { clientId, clientSecret, method, registration: undefined };
  }

  #documentClient(discovered: DiscoveredMcpServer, { redirectPath }: ReservedProfile): ProfileClient {
    const clientId = this.#documentUrl(redirectPath) ?? "";
    const registration: ClientRegistration = {
      kind: "metadata_document",
      issuer: issuerOf(discovered.server),
      registeredAtMs: this.deps.clock.nowMs(),
      secretExpiresAtMs: undefined,
      configurationUrl: undefined,
      accessToken: undefined,
    };
    // Who fetches the document can fetch the keys.
    const method = takesOwnKeys(discovered.server) ? "private_key_jwt" : "none";
    return { clientId, clientSecret: undefined, method, registration };
  }

  async #register(
    discovered: DiscoveredMcpServer,
    reserved: ReservedProfile,
    given?: TokenEndpointAuthMethod,
  ): Promise<ProfileClient> {
    const { server } = discovered;
    const { publicUrl } = this.deps;
    // Last of all: whether the server can fetch the keys is not known.
    const byKey = publicUrl.startsWith("https://") && takesOwnKeys(server) ? "private_key_jwt" : undefined;
    const method = given ?? commonAuthMethods(server.announced.tokenEndpointAuthMethods)[0] ?? byKey;
    if (method === undefined) {
      throw this.#interactionRequired(
        discovered,
        reserved,
        "takes no client authentication that nexusd can register for",
      );
    }
    try {
      const metadata = this.#metadata(reserved.redirectPath, method);
      const client = await registerClient(server, metadata, this.deps.outbound);
      this.deps.log.info({ issuer: issuerOf(server), method: client.method }, "client registered");
      return this.#profileClient(reserved.id, discovered, client);
    } catch (error) {
      if (error instanceof RegistrationRefused) {
        throw this.#interactionRequired(discovered, reserved, `did not register nexusd: ${error.message}`);
      }
      if (error instanceof RegistrationPutOff) {
        const why = `the authorization server ${issuerOf(server)} cannot register a client at the moment: ${error.message}`;
        const retryAfterMs = parseRetryAfterMs(error.retryAfter, this.deps.clock.nowMs());
        throw new Unavailable(why, retryAfterMs ?? registrationRetryMs, error);
      }
      if (!(error instanceof OutboundError)) throw error;
      if (error.isForbidden) throw new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
      const why = `the client could not be registered: ${networkWords(error).words}`;
      throw new Unavailable(why, registrationRetryMs, error);
    }
  }

  #profileClient(id: string, { server }: DiscoveredMcpServer, client: RegisteredClient): ProfileClient {
    const { clientId, clientSecret, method, secretExpiresAtMs, management } = client;
    const registeredAtMs = this.deps.clock.nowMs();
    const place = registrationPlace(id, registeredAtMs);
    const registration: ClientRegistration = {
      kind: "dynamic",
      issuer: issuerOf(server),
      registeredAtMs,
      secretExpiresAtMs,
      configurationUrl: management?.url,
      accessToken: management && this.deps.vault.sealToken(place, management.accessToken),
    };
    return { clientId, clientSecret, method, registration };
  }

  #metadata(redirectPath: string, method: TokenEndpointAuthMethod): ClientMetadata {
    const { publicUrl } = this.deps;
    return clientMetadata(`${publicUrl}${redirectPath}`, method, `${publicUrl}${jwksPath}`);
  }

  /** Undefined unless servers can fetch it: by https. */
  #documentUrl(redirectPath: string): string | undefined {
    const { publicUrl } = this.deps;
    return publicUrl.startsWith("https://") ? `${publicUrl}${clientMetadataPath(redirectPath)}` : undefined;
  }

  #interactionRequired(
    { server, mcpServerUrl }: DiscoveredMcpServer,
    { redirectPath }: ReservedProfile,
    why: string,
  ): FailedPrecondition {
    const how = `register a client there by hand, with the redirect URI ${this.deps.publicUrl}${redirectPath}, and give its client_id and client_secret with mcp_server_url`;
    return new FailedPrecondition(
      "CLIENT_REGISTRATION_REQUIRED",
      `the authorization server ${issuerOf(server)} of ${mcpServerUrl} ${why}: ${how}`,
    );
  }
}

function takesOwnKeys({ announced }: DiscoveredMcpServer["server"]): boolean {
  const { tokenEndpointAuthMethods: methods, tokenEndpointAuthAlgorithms: algorithms } = announced;
  return (
    methods.includes("private_key_jwt") && (algorithms.length === 0 || algorithms.includes(ownSigningAlg))
  );
}
