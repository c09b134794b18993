import type { IssuerMetadata } from "../../domain/token_endpoint/token_endpoint.js";
import { FailedPrecondition, type NexusError, Unavailable } from "../../model/model.js";
import type { ProviderProfile } from "../../model/providers/providers.js";
import { type AuthorizationServer, DiscoveryFailure, manualAuthorizationServer } from "../../oauth/oauth.js";
import { networkWords, OutboundError, type OutboundFetch } from "../../outbound/outbound.js";
import {
  fetchResourceMetadata,
  type ProtectedResource,
  ResourceMetadataRejected,
} from "./protected_resource_metadata.js";
import { askForChallenge } from "./resource_challenge.js";

/** What an MCP server and its authorization server publish. */
export interface DiscoveredMcpServer {
  readonly mcpServerUrl: string;
  /** Sent as `resource`, letter by letter. */
  readonly resource: string;
  /** What to ask a person for; empty leaves it to the server. */
  readonly scopes: readonly string[];
  /** For people; empty when the server says none. */
  readonly name: string;
  readonly server: AuthorizationServer;
}

/** The issuer of a server, or its origin where it publishes none: what a registered client is bound to. */
export function issuerOf({ issuer, tokenEndpoint }: AuthorizationServer): string {
  return issuer ?? new URL(tokenEndpoint).origin;
}

/** What the client of a profile is bound to. */
export function boundIssuer({ registration, issuer, tokenUrl }: ProviderProfile): string {
  if (registration) return registration.issuer;
  return issuer !== "" || tokenUrl === "" ? issuer : new URL(tokenUrl).origin;
}

/** From the URL of an MCP server to its authorization server, as the MCP authorization specification has it. */
export class McpDiscovery {
  constructor(
    private readonly deps: {
      readonly servers: Pick<IssuerMetadata, "lookUp">;
      readonly outbound: OutboundFetch;
    },
  ) {}

  /**
   * @param mcpServerUrl in its canonical form
   * @param preferred the issuer to stay with as long as the server names it
   * @throws FailedPrecondition when what is published cannot be used; Unavailable
   */
  async discover(mcpServerUrl: string, preferred?: string): Promise<DiscoveredMcpServer> {
    const { outbound } = this.deps;
    try {
      const challenge = await askForChallenge(mcpServerUrl, outbound);
      const metadata = await fetchResourceMetadata(mcpServerUrl, challenge.metadataUrl, outbound);
      const server = await this.#serverOf(mcpServerUrl, metadata, preferred);
      const scopes = challenge.scopes ?? metadata?.scopes ?? [];
      return {
        mcpServerUrl,
        resource: metadata?.resource ?? mcpServerUrl,
        scopes: withOfflineAccess(scopes, server),
        name: metadata?.name ?? "",
        server,
      };
    } catch (error) {
      throw asNexusError(error, mcpServerUrl);
    }
  }

  /** Of several servers the first that can be used: the client chooses (RFC 9728 section 7.6). */
  async #serverOf(
    mcpServerUrl: string,
    metadata: ProtectedResource | undefined,
    preferred: string | undefined,
  ): Promise<AuthorizationServer> {
    const named = metadata?.authorizationServers ?? [];
    if (named.length === 0) {
      // What a server does not say any more, or for a moment, moves nobody.
      const isOtherOrigin = preferred && preferred !== new URL(mcpServerUrl).origin;
      return isOtherOrigin
        ? await this.deps.servers.lookUp(preferred)
        : await this.#serverBeside(mcpServerUrl);
    }
    // One that is down is waited for: another has neither the client nor the grants.
    if (preferred && named.includes(preferred)) return await this.deps.servers.lookUp(preferred);
    let first: unknown;
    for (const issuer of named) {
      try {
        return await this.deps.servers.lookUp(issuer);
      } catch (error) {
        first ??= error;
      }
    }
    throw first;
  }

  /**
   * The specification of 2025-03-26, whose servers publish no resource metadata. The authorization server is the origin of the MCP server.
   * If that publishes nothing either, its endpoints have fixed paths.
   */
  async #serverBeside(mcpServerUrl: string): Promise<AuthorizationServer> {
    const { origin } = new URL(mcpServerUrl);
    try {
      return await this.deps.servers.lookUp(origin);
    } catch (error) {
      if (!publishesNothing(error)) throw error;
      return unpublishedAuthorizationServer(origin);
    }
  }
}

/**
 * The server at an origin that publishes nothing of itself: the endpoints that the MCP specification of 2025-03-26 falls back to.
 */
export function unpublishedAuthorizationServer(origin: string): AuthorizationServer {
  const server = manualAuthorizationServer({
    issuer: "",
    authUrl: `${origin}/authorize`,
    tokenUrl: `${origin}/token`,
    jwksUrl: "",
  });
  const registrationEndpoint = `${origin}/register`;
  return {
    ...server,
    announced: { ...server.announced, registrationEndpoint },
    metadata: { ...server.metadata, registration_endpoint: registrationEndpoint },
  };
}

/** A refresh token is requested where the server says how (OpenID Connect Core 1.0 section 11), and never alone. */
function withOfflineAccess(scopes: readonly string[], { announced }: AuthorizationServer): readonly string[] {
  const isWanted = scopes.length > 0 && announced.scopes.includes("offline_access");
  return isWanted && !scopes.includes("offline_access") ? [...scopes, "offline_access"] : scopes;
}

function publishesNothing(error: unknown): boolean {
  const { cause } = error as { cause?: unknown };
  if (!(cause instanceof DiscoveryFailure)) return false;
  if (cause.reason === "not_json") return true;
  return cause.reason === "http_status" && cause.detail.startsWith("4");
}

function asNexusError(error: unknown, mcpServerUrl: string): NexusError | unknown {
  if (error instanceof ResourceMetadataRejected) {
    return new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
  }
  if (!(error instanceof OutboundError)) return error;
  if (error.isForbidden) return new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
  return new Unavailable(
    `${mcpServerUrl} could not be looked up: ${networkWords(error).words}`,
    undefined,
    error,
  );
}
