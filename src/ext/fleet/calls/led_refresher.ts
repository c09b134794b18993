import type { RefreshPriority } from "../../../domain/refresh/limits/provider_concurrency.js";
import type { RefreshOptions, RefreshOutcome } from "../../../domain/refresh/refresh_outcome.js";
import type { Refresher } from "../../../domain/refresh/refresher.js";

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
export class LedRefresher implements Pick<Refresher, "refresh"> {
  constructor(
    private readonly own: Pick<Refresher, "refresh">,
    private readonly leader: LeadingRefresher,
  ) {}

  async refresh(
    connectionId: string,
    priority: RefreshPriority = "demand",
    options: RefreshOptions = {},
  ): Promise<RefreshOutcome> {
    if (this.leader.isHere) return await this.own.refresh(connectionId, priority, options);
    // What is only due the leader sees by itself, at the same time.
    if (priority === "due") return "superseded";
    const outcome = await this.leader.refresh(connectionId, options);
    return outcome === "here" ? await this.own.refresh(connectionId, priority, options) : outcome;
  }
}
