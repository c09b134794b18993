import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";
import type { CredentialVault } from "./credential_vault.js";

/** What most parts of the domain work with. */
export interface StoreParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

/** And those that open or seal secrets. */
export interface VaultParts extends StoreParts {
  readonly vault: CredentialVault;
}
