/** How a refresh that was sent ended: with a new token, with another attempt to come, or for good. */
export type RefreshEnd = "refreshed" | "retried" | "failed";

/** The refreshes that ended in one stretch of time. */
export type ActivityInterval = Readonly<Record<RefreshEnd, number>> & {
  readonly startMs: number;
};

/** Refreshes in memory, the oldest interval first; every interval since `recordedSinceMs` once. */
export interface RefreshActivity {
  readonly startedAtMs: number;
  readonly recordedSinceMs: number;
  readonly intervalMs: number;
  readonly intervals: readonly ActivityInterval[];
}

/** See `nexus.v1.ExpiryClass`. */
export interface ExpiryClass {
  /** Milliseconds from the moment of counting: 0 for tokens that have ended; `later` and `unlimited` have no bound. */
  readonly within: number | "later" | "unlimited";
  readonly count: number;
  readonly refreshable: number;
}

/** Tokens of active connections by the time until they end. */
export interface ExpiryCounts {
  readonly countedAtMs: number;
  readonly classes: readonly ExpiryClass[];
  /** Connections that were looked at. */
  readonly counted: number;
  /** Connections that were stored. */
  readonly stored: number;
}
