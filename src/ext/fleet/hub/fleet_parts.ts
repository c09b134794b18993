import type { Config } from "../../../config/config.js";
import type { KeyringManager } from "../../../domain/operations/keyring_manager.js";
import type { TokenSpool } from "../../../domain/refresh/journal/token_spool.js";
import type { RefreshEngine } from "../../../domain/refresh/refresh_engine.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Log } from "../../../runtime/log.js";
import type { Metrics } from "../../../telemetry/metrics.js";
import type { Vault } from "../../../vault/vault.js";
import type { CheckedClock } from "../database/checked_clock.js";
import type { OpenFleet } from "./open_fleet.js";

export interface FleetOptions {
  readonly config: Config;
  /** Of the links to the database and to other hubs: the machine's. */
  readonly clock: Clock;
  /** What the daemon goes by: it is corrected by what is found here. */
  readonly checkedClock?: CheckedClock;
  readonly log: Log;
  /** Called once: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** Called when this hub is to give its lead back and end. */
  readonly onStepDown?: () => void;
}

export interface FleetResources {
  readonly fleet: OpenFleet;
  readonly opened: { readonly vault: Vault };
  readonly metrics: Pick<Metrics, "addGauge" | "addOutcomes">;
}

/** What a hub that leads does for the others. */
export interface FleetDomain {
  readonly engine: Pick<RefreshEngine, "refresher" | "health">;
  readonly spool: Pick<TokenSpool, "importTokenSet" | "flushToLeader">;
  readonly keyring: Pick<KeyringManager, "reload">;
}
