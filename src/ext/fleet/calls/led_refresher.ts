import type { Refresher, Refreshes, RefreshOptions } from "../../../domain/grants/grants.js";
import type { RefreshOutcome } from "../../../model/connections/connections.js";

/** The hub of a fleet that refreshes. */
export interface LeadingRefresher {
  /** Whether it is this one. */
  readonly isHere: boolean;
  /**
   * Has it refresh, and waits until this hub has the outcome.
   *
   * @returns `here` when this hub has come to lead meanwhile, and nothing was sent
   * @throws Unavailable
   */
  refresh(connectionId: string, options: RefreshOptions): Promise<RefreshOutcome | "here">;
}

/** Refreshes that a caller of any hub waits for: the one that leads sends them. */
export function ledRefresher(own: Refresher, leader: LeadingRefresher): Refreshes {
  return {
    refresh: async (connectionId, priority = "demand", options = {}) => {
      if (leader.isHere) return await own.refresh(connectionId, priority, options);
      // What is only due the leader sees by itself, at the same time.
      if (priority === "due") return "superseded";
      const outcome = await leader.refresh(connectionId, options);
      return outcome === "here" ? await own.refresh(connectionId, priority, options) : outcome;
    },
  };
}
