import { AuthorizationServers } from "../../src/domain/authorization_servers.js";
import { ConnectionCompleter } from "../../src/domain/connection_completer.js";
import { ConnectionManager } from "../../src/domain/connection_manager.js";
import { CredentialReader } from "../../src/domain/credential_reader.js";
import { CredentialVault } from "../../src/domain/credential_vault.js";
import { CredentialWriter } from "../../src/domain/credential_writer.js";
import { Grants } from "../../src/domain/grants.js";
import { ProviderRegistry } from "../../src/domain/provider_registry.js";
import { RefreshEngine } from "../../src/domain/refresh_engine.js";
import type { RefreshMetrics } from "../../src/domain/refresh_outcome.js";
import { RevocationQueue } from "../../src/domain/revocation_queue.js";
import { TokenManager } from "../../src/domain/token_manager.js";
import { TokenRescue } from "../../src/domain/token_rescue.js";
import { UnknownStates } from "../../src/domain/unknown_states.js";
import { plainOAuth2 } from "../../src/model/oauth2_options.js";
import { owner } from "../../src/model/principal.js";
import type { ProviderSettings } from "../../src/model/provider_profile.js";
import { bearerStrategy } from "../../src/model/strategy.js";
import type { OutboundFetch } from "../../src/oauth/outbound.js";
import type { Clock } from "../../src/runtime/clock.js";
import { KeyedMutex } from "../../src/runtime/keyed_mutex.js";
import type { Store } from "../../src/store/store.js";
import { Vault } from "../../src/vault/vault.js";
import { silentLog } from "../silent_log.js";
import { loopbackNetworks } from "./loopback_networks.js";

/** The domain as daemon.ts wires it, without doors, over a store and a network that a test may stand in front of. */
export class WiredDomain {
  readonly vault: CredentialVault;
  readonly reader: CredentialReader;
  readonly writer: CredentialWriter;
  readonly engine: RefreshEngine;
  readonly tokens: TokenManager;
  readonly connections: ConnectionManager;
  readonly completer: ConnectionCompleter;
  readonly providers: ProviderRegistry;

  /** The caller tells `engine` of commits and starts it. */
  constructor(options: {
    readonly store: Store;
    readonly clock: Clock;
    readonly random: () => number;
    readonly outbound: OutboundFetch;
    readonly metrics?: RefreshMetrics;
  }) {
    const { store, clock, outbound } = options;
    const vault = testVault(store);
    const shared = { store, vault, clock, random: options.random, log: silentLog };
    const locks = new KeyedMutex<string>();
    const servers = new AuthorizationServers({
      ...shared,
      networks: loopbackNetworks,
      fetchDocument: () => Promise.reject(new Error()),
    });
    const grants = new Grants({ vault, clock, outbound });
    const metrics = options.metrics ?? { refreshed: () => {}, replaced: () => {} };
    this.vault = vault;
    this.writer = new CredentialWriter(shared);
    const { writer } = this;
    this.reader = new CredentialReader(shared);
    const revocations = new RevocationQueue(shared);
    const rescue = new TokenRescue({ ...shared, file: undefined, revocations });
    this.engine = new RefreshEngine({
      ...shared,
      revocations,
      rescue,
      writer,
      servers,
      grants,
      locks,
      metrics,
    });
    const onChanged = (providerId: string): void => this.engine.profileChanged(providerId);
    this.providers = new ProviderRegistry({ ...shared, networks: loopbackNetworks, onChanged });
    const publicUrl = "http://localhost:8080";
    const unknownStates = new UnknownStates(shared);
    const entry = { ...shared, servers, revocations, rescue };
    this.connections = new ConnectionManager({ ...entry, publicUrl, allowedReturnOrigins: [] });
    const onAccepted = (providerId: string): void => this.engine.clientAccepted(providerId);
    this.completer = new ConnectionCompleter({ ...entry, writer, grants, locks, unknownStates, onAccepted });
    this.tokens = new TokenManager({ reader: this.reader, refresher: this.engine.refresher, clock });
  }

  /** A consent of one person, from the request to the callback; the code is the id of the connection. Answers that id. */
  async consent(
    providerName: string,
    connectionId: string | undefined,
    outcome: "given" | "denied" | "abandoned" = "given",
    onRequested: (connectionId: string) => void = () => undefined,
  ): Promise<string> {
    const provider = { name: providerName };
    const request = { userId: "ada", provider, scopes: [], returnUrl: undefined, connectionId };
    const { state, connectionId: id } = await this.connections.request(request, owner);
    onRequested(id);
    if (outcome === "abandoned") return id;
    const started = await this.completer.start(state);
    if (started.kind !== "redirect") return id;
    const { name, value } = started.binding;
    const answer: Record<string, string> = outcome === "denied" ? { error: "access_denied" } : { code: id };
    const query = new URLSearchParams({ state, ...answer });
    const path = new URL(new URL(started.location).searchParams.get("redirect_uri") ?? "").pathname;
    await this.completer.finish(query, (cookie) => (cookie === name ? value : undefined), undefined, path);
    return id;
  }
}

/** The same key in every life of a store. */
export function testVault(store: Store): CredentialVault {
  return new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: store.databaseId });
}

/** A profile with endpoints set by hand. */
export function manualSettings(name: string, origin: string): ProviderSettings {
  return {
    name,
    authType: "oauth2",
    clientId: "client",
    tokenEndpointAuthMethod: "none",
    issuer: "",
    enableDiscovery: false,
    authUrl: `${origin}/auth`,
    tokenUrl: `${origin}/token`,
    jwksUrl: "",
    scopes: ["read"],
    authorizationParams: {},
    apiBaseUrl: "",
    userInfoEndpoint: "",
    description: "",
    category: "",
    refreshWindowMs: undefined,
    strategy: bearerStrategy,
    credentialSchema: undefined,
    params: {},
    oauth2: plainOAuth2,
    template: "",
  };
}
