import type { Config } from "../config/config.js";
import { readVersion } from "../config/version.js";
import {
  type AskApprovers,
  openAccess,
  type SessionMemory,
  type UseCounts,
} from "../domain/access/access.js";
import { openCredentials } from "../domain/connections/connections.js";
import { type Consents, openConsents } from "../domain/consent/consent.js";
import { type Grants, type GrantsDeps, openGrants } from "../domain/grants/grants.js";
import { openOperations } from "../domain/operations/operations.js";
import { CredentialTrial, type OpenMcpLookup, openProfiles } from "../domain/profiles/profiles.js";
import { openProvisioning } from "../domain/provisioning/provisioning.js";
import { type OpenDownscoping, openReading } from "../domain/reading/reading.js";
import {
  type GrantTypeRow,
  openTokenEndpoint,
  UserInfoClient,
} from "../domain/token_endpoint/token_endpoint.js";
import { noTracing, type Tracing } from "../model/tracing.js";
import type { AuthorityFiles } from "../outbound/certificate_authorities.js";
import { createOutboundFetch, type OutboundFetch } from "../outbound/outbound_fetch.js";
import type { Changes } from "../runtime/changes.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { SpoolFile } from "../store/files/spool_file.js";
import { namingLog } from "../store/naming_log.js";
import type { Store } from "../store/store.js";
import type { KeyRingSource } from "../vault/key_source.js";
import type { Vault } from "../vault/vault.js";
import type { Domain } from "./core.js";
import type { DomainMembership } from "./membership.js";

export interface DomainOptions {
  readonly config: Config;
  readonly store: Store;
  /** The keys that seal the store. */
  readonly vault: Vault;
  readonly keySource: Pick<KeyRingSource, "read">;
  /** Undefined where none could be opened. */
  readonly spoolFile: SpoolFile | undefined;
  readonly metrics: GrantsDeps["metrics"];
  /** What the store commits is emitted there. */
  readonly changes: Changes;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** None by default. */
  readonly tracing?: Tracing | undefined;
  /** The same way out to providers, with each request as a span. */
  readonly tracedOutbound?: ((outbound: OutboundFetch) => OutboundFetch) | undefined;
  /** Grant types beside those of the core. */
  readonly grantTypes?: readonly GrantTypeRow[];
  readonly downscoping?: OpenDownscoping | undefined;
  readonly mcpLookup?: OpenMcpLookup | undefined;
  /** What makes the daemon one of several. */
  readonly member?: DomainMembership | undefined;
  /** Who is asked about held requests by this daemon. Asked for at each request: approvers are registered after the domain is open. */
  readonly approver?: () => AskApprovers | undefined;
  /** What remembers sessions, which is registered after the domain is open, too. */
  readonly memory?: () => SessionMemory | undefined;
  /** What counts limited uses, likewise. */
  readonly uses?: () => UseCounts | undefined;
}

/** Opens every room of the domain; nothing runs yet. */
export function openDomain(options: DomainOptions): Domain {
  const { config, store, clock, random, metrics, spoolFile, member, tracing = noTracing } = options;
  const { limits } = config;
  const { refusesOtherAccounts } = config.consent;
  const ground = openGround(options);
  const { log, changes, outbound, authorityFiles, credentials, endpoint, profiles } = ground;
  const { vault, writer, reader } = credentials;
  const { mcp, mcpNames } = profiles;
  const kept = { store, vault, writer, endpoint, changes, clock, random, log };
  const { memory = () => undefined, uses = () => undefined } = options;
  const asked = { approver: approverOf(options), memory, uses, leader: member?.leadingRules };
  const access = openAccess({ store, changes, clock, log, mcpNames, ...asked });
  const grants = openGrants({ ...kept, tracing, metrics, spoolFile, refusesOtherAccounts });
  const { engine } = grants;
  const trial = new CredentialTrial({ outbound, authorityFiles });
  const consents = consentsOf(options, ground, grants, trial);
  const provisioning = openProvisioning({ ...kept, refresh: grants, trial, limits });
  const reading = openReading({
    ...kept,
    reader,
    access,
    engine,
    refresher: member?.refresher(engine.refresher) ?? engine.refresher,
    consents,
    connections: provisioning,
    mcp,
    trial,
    downscoping: options.downscoping,
    tracing,
    maxRejectionsPerHour: limits.maxRejectionsPerHour,
    member,
    forwardedWrites: member?.forwardedWrites,
  });
  const { subscribers } = reading;
  const { vault: ring, keySource } = options;
  const version = readVersion();
  const operations = openOperations({ ...kept, subscribers, engine, ring, keySource, version, member });
  return {
    changes,
    outbound,
    credentials,
    endpoint,
    profiles,
    access,
    grants,
    consents,
    provisioning,
    reading,
    operations,
  };
}

/** What the other rooms stand on. */
interface Ground extends Pick<Domain, "changes" | "outbound" | "credentials" | "endpoint" | "profiles"> {
  /** In whose lines names stand beside ids. */
  readonly log: Log;
  readonly authorityFiles: AuthorityFiles;
}

function openGround(options: DomainOptions): Ground {
  const { config, store, changes, clock, random, member } = options;
  const { providerNetworks: networks, authorityFiles } = config;
  const log = namingLog(options.log, store);
  store.onCommitted((changed) => changes.emit("connections", changed));
  store.onApplied((applied) => changes.emit("followed", applied));
  const outbound = outboundOf(options);
  const credentials = openCredentials({
    store,
    ring: options.vault,
    changes,
    clock,
    random,
    readable: member?.forwardedWrites?.withoutProfiles(store),
  });
  const { vault, writer } = credentials;
  const endpoint = openTokenEndpoint({
    store,
    vault,
    writer,
    clock,
    log,
    outbound,
    watchedOutbound: member?.watched?.(outbound),
    networks,
    grantTypes: options.grantTypes ?? [],
    limits: config.limits,
    clientAssertionFiles: config.clientAssertionFiles,
    clientKeyFiles: config.clientKeyFiles,
    authorityFiles,
  });
  const profiles = openProfiles({
    store,
    vault,
    clock,
    log,
    changes,
    endpoint,
    outbound,
    networks,
    authorityFiles,
    sharedRedirectUri: config.consent.sharedRedirectUri,
    publicUrl: config.publicUrl,
    mcpLookup: options.mcpLookup,
  });
  return { log, changes, outbound, authorityFiles, credentials, endpoint, profiles };
}

function consentsOf(
  { config, store, clock }: DomainOptions,
  { log, changes, outbound, authorityFiles, credentials, endpoint, profiles }: Ground,
  { pending, revocations, spool, locks }: Grants,
  trial: CredentialTrial,
): Consents {
  const { vault, writer } = credentials;
  const { servers, grants } = endpoint;
  return openConsents({
    store,
    vault,
    writer,
    clock,
    log,
    changes,
    pending,
    revocations,
    spool,
    locks,
    servers,
    grants,
    userInfo: new UserInfoClient({ outbound, authorityFiles, clock, log }),
    trial,
    mcp: profiles.mcp,
    publicUrl: config.publicUrl,
    allowedReturnOrigins: config.allowedReturnOrigins,
    requireConfirmation: config.consent.requireConfirmation,
    refusesOtherAccounts: config.consent.refusesOtherAccounts,
    limits: config.limits,
  });
}

function outboundOf({ config, member, tracedOutbound }: DomainOptions): OutboundFetch {
  const untraced = createOutboundFetch({
    networks: config.providerNetworks,
    proxies: config.webProxies,
    maySend: member && (() => member.maySend()),
  });
  return tracedOutbound?.(untraced) ?? untraced;
}

function approverOf({ approver, member }: DomainOptions): () => AskApprovers | undefined {
  return () => {
    const own = approver?.();
    return own && (member?.approver?.(own) ?? own);
  };
}
