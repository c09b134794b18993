import { FailedPrecondition, Unavailable } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import {
  type AuthorizationServer,
  fromDiscoveryDocument,
  manualAuthorizationServer,
  withKeysOf,
} from "../../oauth/authorization_server.js";
import { DiscoveryFailure } from "../../oauth/discovery.js";
import { judgeHost } from "../../outbound/address_judge.js";
import type { ProviderNetworks } from "../../outbound/provider_networks.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import { SingleFlight } from "../../runtime/single_flight.js";
import type { Store } from "../../store/store.js";

/** A document older than this is fetched again in the background; the old one serves until the new one is here. */
const freshMs = 60 * 60_000;
/** After a failed fetch, the next background fetch waits this long. */
const retryMs = 60_000;

/** Fetches a discovery document and returns its text. */
export type FetchDiscoveryDocument = (issuer: string) => Promise<string>;

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
  readonly #fetches = new SingleFlight<string, AuthorizationServer>();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly clock: Clock;
      readonly log: Log;
      readonly fetchDocument: FetchDiscoveryDocument;
      /** Where endpoints may stand. */
      readonly networks: ProviderNetworks;
    },
  ) {}

  /**
   * @param needsKeys for an id_token: a profile with endpoints of its own and without `jwks_url` then takes the keys, and nothing
   * else, from the discovery document of its issuer
   * @throws Unavailable when the document cannot be had and never was
   * @throws FailedPrecondition when the document contradicts the profile, or an endpoint stands where none may
   */
  async resolve(profile: ProviderProfile, needsKeys = false): Promise<AuthorizationServer> {
    if (profile.enableDiscovery) return await this.#discover(profile.issuer);
    const server = this.#resolveManual(profile);
    if (!needsKeys || server.keys || server.issuer === undefined) return server;
    return withKeysOf(server, await this.#discover(server.issuer));
  }

  async #discover(issuer: string): Promise<AuthorizationServer> {
    const known = this.#discovered.get(issuer) ?? this.#recall(issuer);
    if (!known) return await this.#fetches.run(issuer, () => this.#fetch(issuer));
    const nowMs = this.deps.clock.nowMs();
    if (nowMs - known.fetchedAtMs >= freshMs && nowMs >= known.notAgainBeforeMs) this.#refetch(issuer, known);
    return known.server;
  }

  #resolveManual(profile: ProviderProfile): AuthorizationServer {
    const known = this.#manual.get(profile.id);
    if (known?.version === profile.version) return known.server;
    const server = manualAuthorizationServer(profile);
    refuseEndpoints(server, this.deps.networks);
    this.#manual.set(profile.id, { version: profile.version, server });
    return server;
  }

  /** The copy in the store; undefined when there is none, or one that was good under other rules or settings: it is fetched anew. */
  #recall(issuer: string): Discovered | undefined {
    const record = this.deps.store.getDiscovery(issuer);
    if (!record) return undefined;
    let server: AuthorizationServer;
    try {
      server = fromDiscoveryDocument(issuer, record.document);
      refuseEndpoints(server, this.deps.networks);
    } catch (error) {
      this.deps.log.warn({ issuer, error: String(error) }, "the stored discovery document cannot be used");
      return undefined;
    }
    return this.#remember(issuer, { server, fetchedAtMs: record.fetchedAtMs, notAgainBeforeMs: 0 });
  }

  #remember(issuer: string, discovered: Discovered): Discovered {
    this.#discovered.set(issuer, discovered);
    return discovered;
  }

  #refetch(issuer: string, known: Discovered): void {
    this.#remember(issuer, { ...known, notAgainBeforeMs: this.deps.clock.nowMs() + retryMs });
    this.#fetches
      .run(issuer, () => this.#fetch(issuer))
      .catch((error: unknown) =>
        this.deps.log.warn({ issuer, error: String(error) }, "discovery document not refetched"),
      );
  }

  async #fetch(issuer: string): Promise<AuthorizationServer> {
    let document: string;
    try {
      document = await this.deps.fetchDocument(issuer);
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
    refuseEndpoints(server, this.deps.networks);
    const fetchedAtMs = this.deps.clock.nowMs();
    await this.deps.store.commit((tx) => tx.putDiscovery(issuer, { document, fetchedAtMs }));
    return this.#remember(issuer, { server, fetchedAtMs, notAgainBeforeMs: 0 }).server;
  }
}

/** Judges what needs no name resolved; the rest is judged when a request is made. */
function refuseEndpoints(server: AuthorizationServer, networks: ProviderNetworks): void {
  const endpoints = {
    "authorization endpoint": server.authorizationEndpoint,
    "token endpoint": server.tokenEndpoint,
    "JWKS URL": server.jwksUri,
    "revocation endpoint": server.revocationEndpoint,
  };
  for (const [name, url] of Object.entries(endpoints)) {
    if (url === undefined || !URL.canParse(url)) continue;
    const { hostname } = new URL(url);
    const refusal = judgeHost(hostname, networks);
    if (refusal === undefined) continue;
    throw new FailedPrecondition(
      "PROVIDER_MISCONFIGURED",
      `the ${name} of the provider must not be called: ${hostname} ${refusal.why}`,
    );
  }
}
