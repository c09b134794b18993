/** What the daemon, or the way to it, answered instead of a token. No message holds a credential. */
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

/** What a person must do first. */
export interface Consent {
  /**
   * To be opened in the browser of the user whose token was asked for, and shown to nobody else. Empty with a device authorization, and
   * undefined where no link helps.
   */
  readonly authUrl: string | undefined;
  readonly connectionId: string | undefined;
  /** `not_connected`, `scopes_missing`, `authentication_insufficient` (RFC 9470), or why the token before it ended, for example `reauth_required`. */
  readonly reason: string;
  /** The scopes that an API said are missing: from `fetch` and `interceptor` alone. `acquire` with them waits for the person. */
  readonly scopes?: readonly string[];
  /** When the link or the code ends. */
  readonly expiresAt: Date | undefined;
  /** With a device authorization (RFC 8628 section 3.3): the page that the person opens on any device. */
  readonly verificationUri?: string;
  /** The code to enter there. */
  readonly userCode?: string;
  /** The page with the code in it, where the provider has one; to be shown to nobody but the user. */
  readonly verificationUriComplete?: string;
}

/** A person must open a link, or enter a code, first. */
export class ConsentRequired extends NexusError implements Consent {
  override name = "ConsentRequired";
  override readonly reason: string;
  declare readonly authUrl: string | undefined;
  declare readonly connectionId: string | undefined;
  declare readonly scopes?: readonly string[];
  declare readonly expiresAt: Date | undefined;
  declare readonly verificationUri?: string;
  declare readonly userCode?: string;
  declare readonly verificationUriComplete?: string;

  constructor(message: string, consent: Consent, cause?: unknown) {
    super(message, consent.reason, cause);
    this.reason = consent.reason;
    Object.assign(this, consent);
  }
}

/**
 * There was a token, and the provider or a person ended it, or a person said no a moment ago: `reason` says why, for example
 * `reauth_required`, `consent_revoked` or `access_denied`. `authUrl` is the way back.
 */
export class AttentionRequired extends ConsentRequired {
  override name = "AttentionRequired";
}

/**
 * `acquire` showed a link, and the person or the provider said no: `reason` is `access_denied`, and `authUrl` another link, which was shown to
 * nobody yet. Ask again when the person wants to.
 */
export class ConsentDenied extends AttentionRequired {
  override name = "ConsentDenied";
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
