/** How a refresh ended; the stored connection holds the details. */
export type RefreshOutcome =
  /** A new revision is durable. */
  | "refreshed"
  /** A person must consent again. */
  | "attention"
  /** It failed and is tried again at the time in the connection's problem. */
  | "retry"
  /** The provider refuses the client of its profile: the profile must be fixed. */
  | "suspended"
  /** It failed, but the connection has moved on meanwhile: the failure means nothing. */
  | "superseded"
  /** There is nothing to refresh: no refresh token, no provider, not active, or gone. */
  | "not_refreshable"
  /** The daemon is stopping. */
  | "stopped";

/** What counts refreshes. */
export interface RefreshMetrics {
  refreshed(provider: string, result: "success" | "failure", reason: string, durationMs: number): void;
  /** How long a token that was replaced had still to live; below 0 when it was dead. */
  replaced(remainingMs: number): void;
}

export interface RefreshOptions {
  /** Sent although its provider is suspended, to see whether it still refuses the client. */
  readonly isProbe?: boolean;
  /** Superseded when the connection has another revision by the time that it comes to it. */
  readonly onlyRevision?: bigint;
}

/** Connections whose grant is made of another connection's credential. */
export interface GrantBasis {
  /** The id of that other connection where it is to be refreshed first; undefined at once where the grant has no basis. */
  toRenew(connectionId: string): Promise<string | undefined> | undefined;
}
