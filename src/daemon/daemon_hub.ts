import type { LeaderTerm } from "../ext/fleet/hub/hub.js";
import type { BrowserPages } from "../server/pages/browser_pages.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { DomainHub, ListenersHub } from "./hub/hub_interfaces.js";
import type { Domain } from "./wire_domain.js";

/** What a hub, or a spoke, is to the daemon that it makes. */
export interface DaemonHub extends ListenersHub, DomainHub {
  /** Adds its metrics. */
  observe(): void;
  /** Before any listener opens. @throws what keeps the daemon from starting */
  open(parts: {
    readonly domain: Domain;
    readonly services: readonly BoundService[];
    readonly pages: Pick<BrowserPages, "answer">;
    readonly term: LeaderTerm;
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
}
