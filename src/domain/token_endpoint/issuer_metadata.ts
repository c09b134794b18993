import { provesByTls } from "../../model/clients/client_proof.js";
import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import {
  type AuthorizationServer,
  fromDiscoveryDocument,
  manualAuthorizationServer,
  withEndpointsOf,
  withKeysOf,
  withMtlsAliases,
} from "../../oauth/authorization_server.js";
import { DiscoveryFailure } from "../../oauth/discovery.js";
import type { ProviderNetworks } from "../../outbound/address_judge.js";
import { judgeUrl } from "../../outbound/address_judge.js";
import { SingleFlight } from "../../runtime/single_flight.js";
import type { StoreParts } from "../connections/connections.js";

/** A document older than this is fetched again in the background; the old one serves until the new one is here. */
const freshMs = 60 * 60_000;
/** After a failed fetch, the next background fetch waits this long. */
const retryMs = 60_000;

/** Where an issuer publishes its metadata: at the one place of OpenID, or where the MCP specification looks. */
export type MetadataPlace = "openid" | "mcp";

/** Fetches a discovery document and returns its text. */
export type FetchDiscoveryDocument = (
  issuer: string,
  place: MetadataPlace,
  apiCaFile: string,
) => Promise<string>;

interface Discovered {
  readonly server: AuthorizationServer;
  readonly fetchedAtMs: number;
  readonly notAgainBeforeMs: number;
}

/**
 * The authorization server of each profile. Discovery documents are kept in memory and in the store, so that the last good copy
 * survives an outage of the provider and a restart of the daemon. The same object is answered as long as the document
 * holds: the cache of its keys hangs on it.
 */
export class IssuerMetadata {
  readonly #discovered = new Map<string, Discovered>();
  readonly #manual = new Map<string, { version: bigint; server: AuthorizationServer }>();
  /** Keys of documents that name an endpoint which is not there. */
  readonly #doubted = new Set<string>();
  readonly #fetches = new SingleFlight<string, AuthorizationServer>();

  constructor(
    private readonly deps: StoreParts & {
      readonly fetchDocument: FetchDiscoveryDocument;
      /** Where endpoints may stand. */
      readonly networks: ProviderNetworks;
    },
  ) {}

  /**
   * Endpoints of a profile go before those of its discovery document, which is not needed where both are given.
   *
   * @param needsKeys for an id_token: a profile with endpoints of its own and without `jwks_url` then takes the keys, and nothing
   * else, from the discovery document of its issuer
   * @throws Unavailable when the document cannot be had and never was
   * @throws FailedPrecondition when the document contradicts the profile, or an endpoint stands where none may
   */
  async resolve(profile: ProviderProfile, needsKeys = false): Promise<AuthorizationServer> {
    const { apiCaFile } = profile;
    const place = placeOf(profile.mcpServerUrl);
    const hasOwnEndpoints = profile.authUrl !== "" && profile.tokenUrl !== "";
    if (profile.enableDiscovery && !hasOwnEndpoints) {
      const server = await this.#discover({ issuer: profile.issuer, place, apiCaFile });
      return this.#withOwnEndpoints(profile, provesByTls(profile) ? withMtlsAliases(server) : server);
    }
    const server = this.#resolveManual(profile);
    if (!needsKeys || server.keys || server.issuer === undefined) return server;
    return withKeysOf(server, await this.#discover({ issuer: server.issuer, place, apiCaFile }));
  }

  /** The server of an issuer that no profile names yet; its document is fetched now. @throws as `resolve` */
  async lookUp(issuer: string): Promise<AuthorizationServer> {
    const source: Source = { issuer, place: "mcp", apiCaFile: "" };
    return await this.#fetches.run(keyOf(source), () => this.#fetch(source));
  }

  /** An endpoint of the profile is not there any more: before the next request its document is fetched again, once a minute at most. */
  doubt({ enableDiscovery, issuer, mcpServerUrl, apiCaFile }: ProviderProfile): void {
    if (enableDiscovery) this.#doubted.add(keyOf({ issuer, place: placeOf(mcpServerUrl), apiCaFile }));
  }

  async #discover(source: Source): Promise<AuthorizationServer> {
    const key = keyOf(source);
    const known = this.#discovered.get(key) ?? this.#recall(source);
    if (!known) return await this.#fetches.run(key, () => this.#fetch(source));
    const nowMs = this.deps.clock.nowMs();
    const mayFetch = nowMs >= known.notAgainBeforeMs && nowMs - known.fetchedAtMs >= retryMs;
    if (mayFetch && this.#doubted.has(key)) return await this.#fetchedAgain(source, known);
    if (nowMs - known.fetchedAtMs >= freshMs && nowMs >= known.notAgainBeforeMs) this.#refetch(source, known);
    return known.server;
  }

  #withOwnEndpoints(profile: ProviderProfile, discovered: AuthorizationServer): AuthorizationServer {
    if (profile.authUrl === "" && profile.tokenUrl === "") return discovered;
    const server = withEndpointsOf(discovered, profile);
    refuseEndpoints(server, this.deps.networks);
    return server;
  }

  #resolveManual(profile: ProviderProfile): AuthorizationServer {
    const known = this.#manual.get(profile.id);
    if (known?.version === profile.version) return known.server;
    const server = manualAuthorizationServer(profile);
    refuseEndpoints(server, this.deps.networks);
    this.#manual.set(profile.id, { version: profile.version, server });
    return server;
  }

  /** The copy in the store; undefined when there is none, or one that was good under other rules or settings: it is fetched again. */
  #recall(source: Source): Discovered | undefined {
    const { issuer } = source;
    const record = this.deps.store.getDiscovery(keyOf(source));
    if (!record) return undefined;
    let server: AuthorizationServer;
    try {
      server = fromDiscoveryDocument(issuer, record.document);
      refuseServer(server, source, this.deps.networks);
    } catch (error) {
      this.deps.log.warn({ issuer, error: String(error) }, "the stored discovery document cannot be used");
      return undefined;
    }
    return this.#remember(source, { server, fetchedAtMs: record.fetchedAtMs, notAgainBeforeMs: 0 });
  }

  #remember(source: Source, discovered: Discovered): Discovered {
    this.#discovered.set(keyOf(source), discovered);
    return discovered;
  }

  /** The document as it is now; the last good one if it cannot be had. */
  async #fetchedAgain(source: Source, known: Discovered): Promise<AuthorizationServer> {
    const key = keyOf(source);
    try {
      return await this.#fetches.run(key, () => this.#fetch(source));
    } catch (error) {
      const { issuer } = source;
      this.deps.log.warn({ issuer, error: String(error) }, "discovery document not refetched");
      this.#remember(source, { ...known, notAgainBeforeMs: this.deps.clock.nowMs() + retryMs });
      return known.server;
    } finally {
      this.#doubted.delete(key);
    }
  }

  #refetch(source: Source, known: Discovered): void {
    const { issuer } = source;
    this.#remember(source, { ...known, notAgainBeforeMs: this.deps.clock.nowMs() + retryMs });
    this.#fetches
      .run(keyOf(source), () => this.#fetch(source))
      .catch((error: unknown) =>
        this.deps.log.warn({ issuer, error: String(error) }, "discovery document not refetched"),
      );
  }

  async #fetch(source: Source): Promise<AuthorizationServer> {
    const { issuer, place, apiCaFile } = source;
    let document: string;
    try {
      document = await this.deps.fetchDocument(issuer, place, apiCaFile);
    } catch (error) {
      if (!(error instanceof DiscoveryFailure)) {
        throw new Unavailable(`the discovery document of ${issuer} could not be fetched`, undefined, error);
      }
      if (error.reason !== "forbidden") throw new Unavailable(error.message, undefined, error);
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", error.message, error);
    }
    let server: AuthorizationServer;
    try {
      server = fromDiscoveryDocument(issuer, document);
    } catch (error) {
      const why =
        error instanceof DiscoveryFailure
          ? error.message
          : `the discovery document of ${issuer} is malformed`;
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", why, error);
    }
    refuseServer(server, source, this.deps.networks);
    const fetchedAtMs = this.deps.clock.nowMs();
    await this.deps.store.commit((tx) => tx.putDiscovery(keyOf(source), { document, fetchedAtMs }));
    return this.#remember(source, { server, fetchedAtMs, notAgainBeforeMs: 0 }).server;
  }
}

/**
 * For what needs a browser: machines and devices do without the endpoint.
 *
 * @throws FailedPrecondition where the metadata names none
 */
export function refuseWithoutAuthorization({
  issuer = "",
  authorizationEndpoint,
}: AuthorizationServer): void {
  if (authorizationEndpoint !== "") return;
  const missing = new DiscoveryFailure("missing_endpoint", issuer, "authorization_endpoint");
  throw new FailedPrecondition("PROVIDER_MISCONFIGURED", missing.message, missing);
}

interface Source {
  readonly issuer: string;
  readonly place: MetadataPlace;
  /** By whose word the document came: no other profile takes it, nor the keys that hang on it. */
  readonly apiCaFile: string;
}

function placeOf(mcpServerUrl: string): MetadataPlace {
  return mcpServerUrl === "" ? "openid" : "mcp";
}

/** No issuer and no name of a file holds a space. */
function keyOf({ issuer, place, apiCaFile }: Source): string {
  const key = place === "openid" ? issuer : `${place} ${issuer}`;
  return apiCaFile === "" ? key : `ca ${apiCaFile} ${key}`;
}

/** An MCP client refuses a server that does not announce PKCE with S256. */
function refuseServer(
  server: AuthorizationServer,
  { issuer, place }: Source,
  networks: ProviderNetworks,
): void {
  if (place === "mcp" && !server.announcesPkce) {
    const why = `the metadata of ${issuer} does not announce PKCE with S256 (code_challenge_methods_supported): MCP clients must not use it`;
    throw new FailedPrecondition("PROVIDER_MISCONFIGURED", why);
  }
  refuseEndpoints(server, networks);
}

/** Judges what needs no name resolved; the rest is judged when a request is made. */
function refuseEndpoints(server: AuthorizationServer, networks: ProviderNetworks): void {
  const endpoints = {
    "authorization endpoint": server.authorizationEndpoint,
    "token endpoint": server.tokenEndpoint,
    "JWKS URL": server.jwksUri,
    "revocation endpoint": server.revocationEndpoint,
    "registration endpoint": server.announced.registrationEndpoint,
    "token endpoint among the mtls_endpoint_aliases": server.mtlsAliases.tokenEndpoint,
  };
  for (const [name, url] of Object.entries(endpoints)) {
    if (url === undefined || !URL.canParse(url)) continue;
    const { hostname } = new URL(url);
    const refusal = judgeUrl(new URL(url), networks);
    if (refusal === undefined) continue;
    throw new FailedPrecondition(
      "PROVIDER_MISCONFIGURED",
      `the ${name} of the provider must not be called: ${hostname} ${refusal.why}`,
    );
  }
}
