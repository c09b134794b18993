import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import type { Setting } from "../config/settings.js";
import type { Access } from "../domain/access/access.js";
import type { StoredCredentials } from "../domain/connections/connections.js";
import type { Consents } from "../domain/consent/consent.js";
import type { Grants } from "../domain/grants/grants.js";
import type { Operations } from "../domain/operations/operations.js";
import type { Profiles } from "../domain/profiles/profiles.js";
import type { Provisioning } from "../domain/provisioning/provisioning.js";
import type { Reading } from "../domain/reading/reading.js";
import type { TokenEndpoint } from "../domain/token_endpoint/token_endpoint.js";
import type { JsonObject } from "../model/json.js";
import type { OutboundFetch } from "../outbound/outbound_fetch.js";
import type { Changes } from "../runtime/changes.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import type { LeaderPage } from "../server/pages/browser_pages.js";
import type { Store } from "../store/store.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { KeyRingSource } from "../vault/key_source.js";
import type { Vault } from "../vault/vault.js";

export { createLogger } from "../telemetry/logger.js";
export { LabelValues, type Metrics } from "../telemetry/metrics.js";

/** The rooms of the domain, each opened by the file that is named after it. */
export interface Domain {
  /** What the rooms notify each other of: `changes.on("connections", ...)` hears of every commit. */
  readonly changes: Changes;
  /** Calls providers and receivers of notifications, at the addresses that the settings allow. */
  readonly outbound: OutboundFetch;
  /** Seals, opens, and reads what is stored of connections. */
  readonly credentials: StoredCredentials;
  /** Requests to authorization servers, and the keys of the daemon as a client. */
  readonly endpoint: TokenEndpoint;
  /** Profiles: `registry` creates, changes, and deletes them. */
  readonly profiles: Profiles;
  /** Who may do and see what: `control` admits, `rules` hold requests for a person, `explainer` says why. */
  readonly access: Access;
  /** Refreshes and revocations, which the daemon does by itself. */
  readonly grants: Grants;
  /** `requests` makes links, `consent` finishes a consent. */
  readonly consents: Consents;
  /** Connections without a consent: `importer` imports, `connections` reads, revokes, and deletes. */
  readonly provisioning: Provisioning;
  /** Tokens for callers: `tokens` reads, `acquirer` acquires, `watch` watches, `rejected` takes reports, `proofs` proves. */
  readonly reading: Reading;
  /** The status of the daemon, its audit log, and its key ring. */
  readonly operations: Operations;
}

/**
 * A daemon that is wired, with no listener open yet: what an extension builds on. What it adds to the daemon, it registers
 * (`Registry`).
 */
export interface Core extends Domain {
  readonly config: Config;
  /** All settings that the daemon knows, those of extensions among them. */
  readonly settings: readonly Setting[];
  /** The variables of the process, or what a test puts in their place. */
  readonly environment: NodeJS.ProcessEnv;
  readonly templates: Catalogue;
  /** The time that the daemon goes by. */
  readonly clock: Clock;
  /** Of links to other machines: it goes by this machine alone. */
  readonly linkClock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
  /** Takes gauges (`addGauge`) and counters (`addOutcomes`). */
  readonly metrics: Metrics;
  /**
   * `commit` resolves when a transaction is durable, `record` when an entry of the audit log is, and `observe` shows what transactions
   * write. A table of an extension is read and written in `commit` by `tx.raw`.
   */
  readonly store: Store;
  /** The keys that seal the store. */
  readonly vault: Vault;
  /** Where these keys come from. */
  readonly keySource: KeyRingSource;
  /** Of a daemon that is one of several, as `Membership` has it. */
  readonly member:
    | {
        readonly leads: boolean;
        readonly memoryRefusal: string | undefined;
        readonly page?: LeaderPage;
        catchUp(): Promise<void>;
      }
    | undefined;
  /** The page for approvers that a link of a held request leads to; undefined where no browser reaches one. */
  readonly approvalUrl: (link: string) => string | undefined;
  /** Undefined where no extension keeps profiles as a document says. */
  readonly keepProfiles: KeepProfiles | undefined;
}

/**
 * Makes the daemon hold the profiles of a document, and leaves all others alone.
 *
 * @param secrets what `${NAME}` in the document stands for
 * @returns the names of the profiles that were created or changed
 * @throws DocumentError with every error of the document; NexusError
 */
export type KeepProfiles = (
  core: Core,
  document: JsonObject,
  secrets: Readonly<Record<string, string>>,
) => Promise<readonly string[]>;
