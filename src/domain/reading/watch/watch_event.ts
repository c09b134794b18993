import type { Principal } from "../../../model/access/principal.js";
import type { Sight } from "../../access/access.js";
import type { ConnectionView } from "../../connections/connections.js";
import type { WatchFilter } from "./subscribers.js";

/** A place in the history of the store. */
export interface WatchPosition {
  readonly epoch: string;
  readonly revision: bigint;
}

export type WatchEvent =
  | { readonly kind: "state"; readonly view: ConnectionView }
  | { readonly kind: "removed"; readonly connectionId: string }
  | { readonly kind: "bookmark"; readonly position: WatchPosition }
  | { readonly kind: "reset"; readonly reason: "epoch_changed" | "position_too_old" }
  | { readonly kind: "drain"; readonly reconnectDelayMs: number };

export interface WatchOptions extends Omit<WatchFilter, "sees"> {
  /** Who watches: each token that leaves is put on record first. */
  readonly principal: Principal;
  /** What it may see, judged again at each wake: what it may not see is to it as what does not exist. */
  readonly view: Sight;
  readonly position: WatchPosition | undefined;
  /** 5 000 to 120 000. */
  readonly bookmarkIntervalMs: number;
}
