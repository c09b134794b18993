import type { AskApprovers } from "../domain/access/request_rules.js";
import type { BrowserPages } from "../server/pages/browser_pages.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { DomainHub, ListenersHub } from "./hub/hub_interfaces.js";
import type { Domain } from "./wire_domain.js";

/** What only the daemon does that leads. */
export interface LeaderTerm {
  /** Everything of the log is here, and this hub alone may write. @param isNewEpoch the database lost batches that hubs had */
  begin(isNewEpoch: boolean): Promise<void>;
  /** Ends what is under way, and begins nothing more. */
  end(): Promise<void>;
}

/** What a hub, or a spoke, is to the daemon that it makes. */
export interface DaemonHub extends ListenersHub, DomainHub {
  /** Adds its metrics. */
  observe(): void;
  /** Before any listener opens. @throws what keeps the daemon from starting */
  open(parts: {
    readonly domain: Domain;
    readonly services: readonly BoundService[];
    readonly pages: BrowserPages;
    readonly term: LeaderTerm;
    /** Who is asked about held requests by this daemon alone. */
    readonly approver: AskApprovers | undefined;
  }): Promise<void>;
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
  /** Whether what failed ends only its part in the fleet: the process is to be started again. */
  isTermOver?(error: unknown): boolean;
}
