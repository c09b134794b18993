import type { AskApprovers, LeadingRules } from "../domain/access/access.js";
import type { CredentialReaderDeps } from "../domain/connections/connections.js";
import type { Refresher, Refreshes } from "../domain/grants/grants.js";
import type { ForwardedWrites } from "../domain/reading/reading.js";
import type { OutboundFetch } from "../outbound/outbound_fetch.js";
import type { Changes } from "../runtime/changes.js";
import type { AnswerPage, LeaderPage } from "../server/pages/browser_pages.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import type { LeadControl } from "../service/services/lead_control_service.js";
import type { MemberStatus } from "../service/services/status_service.js";
import type { Store, StoreOptions } from "../store/store.js";
import type { Metrics } from "../telemetry/metrics.js";
import type { Vault } from "../vault/vault.js";
import type { Domain } from "./core.js";

/** What there is when a store is about to be opened. */
export interface Opening {
  readonly vault: Vault;
  readonly store: StoreOptions;
}

/** How a daemon becomes one of several. */
export interface Joined {
  /** What is used instead of a store of the daemon's own. */
  readonly store?: Store;
  /** After a failure at the start, before the store is closed. */
  giveUp?(): Promise<void>;
  /** Called once, before the domain is opened, with the store that is open then. */
  member(opened: {
    readonly store: Store;
    readonly vault: Vault;
    readonly metrics: Metrics;
    readonly changes: Changes;
  }): Membership;
}

/** What a daemon that is one of several wraps of the domain. */
export interface DomainMembership {
  /** Whether this daemon acts itself: it writes, and calls providers. */
  readonly leads: boolean;
  /** Whether a request to a provider may begin. */
  maySend(): boolean;
  /** The same way out to providers, whose outcomes are noted. Undefined where none is called. */
  watched?(outbound: OutboundFetch): OutboundFetch;
  /** Wraps who is asked about held requests: asks where the leader is. Undefined where each daemon asks by itself. */
  approver?(own: AskApprovers): AskApprovers;
  /** Decides what goes by earlier requests of any daemon. Undefined where each daemon goes by its own. */
  readonly leadingRules?: LeadingRules;
  /** Why sessions cannot have labels here, nor uses be limited; undefined where they can. */
  readonly memoryRefusal: string | undefined;
  /** Wraps the refreshes that callers wait for: refreshes where the leader is. */
  refresher(own: Refresher): Refreshes;
  /** Where writes go, of a daemon whose connections are copies: what the copies do not have is another daemon's to do. */
  readonly forwardedWrites?: ForwardedWrites & {
    /** The store, of whose profiles nothing counts. */
    withoutProfiles(store: CredentialReaderDeps["store"]): CredentialReaderDeps["store"];
  };
  /** True, or what is wrong with the copy of this daemon. */
  following(): true | string;
  /** Brings the copy of this daemon to where the leader is now, as far as it can be asked. */
  catchUp(): Promise<void>;
  /** Addresses of the daemons that do not hold a key. */
  lacking(keyId: string): readonly string[];
}

/** What only the daemon does that leads. */
export interface LeaderTerm {
  /** Everything of the log is here, and this daemon alone may write. @param isNewEpoch the database lost batches that hubs had */
  begin(isNewEpoch: boolean): Promise<void>;
  /** Ends what is under way, and begins nothing more. */
  end(): Promise<void>;
}

/** A daemon that is one of several: a hub, or one with copies of what a hub shows. */
export interface Membership extends DomainMembership, LeadControl, MemberStatus {
  /** The same services, whose calls are carried out where the leader is. Called once, with the domain that they are of. */
  led(services: readonly ServiceDefinition[], domain: Domain): ServiceDefinition[];
  /** A page of the leader. Undefined where each daemon has its own. @param own this daemon's, where it leads */
  readonly page?: LeaderPage;
  /** Adds its metrics. */
  observe(): void;
  /** Before any listener opens. @throws what keeps the daemon from starting */
  open(parts: {
    readonly domain: Domain;
    /** What other daemons are served. */
    readonly services: readonly BoundService[];
    /** What browsers see here, by the listener. */
    readonly pages: ReadonlyMap<string, AnswerPage>;
    readonly term: LeaderTerm;
    /** Who is asked about held requests by this daemon alone. */
    readonly approver: AskApprovers | undefined;
  }): Promise<void>;
  /** Gives the lead back, and follows no more. */
  resign(): Promise<void>;
  /** The process ends at once. @param isDiskFailed since its store could not be written */
  abandon(isDiskFailed: boolean): void;
  /** After `abandon`: it ends since its disk does not come back from a write. */
  readonly isDiskStuck?: boolean;
  /** After `abandon`. */
  drainOutbox(): Promise<void>;
  /** After `resign`. */
  close(): Promise<void>;
  /** What it may take to stop beyond the drain; undefined for as long as it takes. */
  readonly closingMs?: number;
  /** Whether what failed ends only its part: the process is to be started again. */
  isTermOver?(error: unknown): boolean;
}
