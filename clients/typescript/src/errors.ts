/** What the daemon, or the way to it, answered in place of a token. No message holds a credential. */
export class NexusError extends Error {
  override name = "NexusError";

  constructor(
    message: string,
    /** Stable word of the daemon, for example `SCOPES_NOT_GRANTED`, `not_connected`; undefined where it gave none. */
    readonly reason?: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** A person must open a link first. */
export class ConsentRequired extends NexusError {
  override name = "ConsentRequired";

  constructor(
    message: string,
    /** `not_connected`, `scopes_missing`, or a word of `AttentionRequired`. */
    override readonly reason: string,
    /** To be opened in the browser of the user whose token was asked for, and shown to nobody else; undefined when there is no link. */
    readonly authUrl: string | undefined,
    readonly connectionId: string | undefined,
    /** When the link ends. */
    readonly expiresAt: Date | undefined,
  ) {
    super(message, reason);
  }
}

/**
 * There was a token, and the provider or a person ended it: `reason` says why, for example `reauth_required`, `consent_revoked` or
 * `access_denied`. `authUrl` is the way back.
 */
export class AttentionRequired extends ConsentRequired {
  override name = "AttentionRequired";
}

/** The daemon cannot be reached, or cannot answer now: try again. */
export class Unavailable extends NexusError {
  override name = "Unavailable";

  constructor(
    message: string,
    reason: string | undefined,
    /** Milliseconds to wait before the next attempt, where the daemon says so. */
    readonly retryAfterMs: number | undefined,
    cause?: unknown,
  ) {
    super(message, reason, cause);
  }
}

/** There is no provider of that name, or the caller may not see it. */
export class NotFound extends NexusError {
  override name = "NotFound";
}

/** The API key is missing or wrong. */
export class Unauthenticated extends NexusError {
  override name = "Unauthenticated";
}

/** The caller may not do that. */
export class PermissionDenied extends NexusError {
  override name = "PermissionDenied";
}

/** A field of the request is wrong; the message names it. */
export class InvalidArgument extends NexusError {
  override name = "InvalidArgument";
}

/** `timeoutMs` is over. */
export class DeadlineExceeded extends NexusError {
  override name = "DeadlineExceeded";
}
