import type { ProblemReason } from "./problem_reason.js";
import type { Use } from "./tracing.js";

/** Words of `google.rpc.ErrorInfo.reason`, stable for clients. */
export type PreconditionReason =
  | "CONNECTION_PENDING"
  | "ATTENTION_REQUIRED"
  | "CONNECTION_REVOKED"
  | "CONNECTION_EXPIRED"
  | "CONNECTION_FAILED"
  | "NOT_REFRESHABLE"
  | "SCOPES_NOT_GRANTED"
  | "NOT_STATIC"
  | "NO_PROBE"
  | "TOKEN_NOT_BOUND"
  | "CREDENTIAL_REJECTED"
  | "NOT_AWAITING_CONFIRMATION"
  | "PROVIDER_DELETED"
  | "PROVIDER_CHANGED"
  | "PROVIDER_MISCONFIGURED"
  | "CLIENT_REGISTRATION_REQUIRED"
  | "TOKEN_EXCHANGE_OFF"
  | "TOKEN_EXCHANGE_REFUSED"
  | "KEY_IN_USE"
  | "KEY_SOURCE"
  | "NO_OTHER_KEY"
  | "CLIENT_KEY_ROTATING"
  | "BACKUP_NOT_VERIFIED"
  | "TOO_MANY_API_KEYS"
  | "NO_LEASE"
  | "TOO_MANY_STOPS"
  | "TOO_MANY_APPROVERS"
  | "TOO_MANY_PLANS"
  | "NO_PASSKEY_PAGE"
  | "NOT_A_HUB"
  | "NO_OTHER_HUB"
  | "OLDER_HUBS"
  | "CONSOLE_CLOSED"
  | "USE_EGRESS"
  | "USES_NOT_COUNTED"
  | "SHOW_BODY";

/** Words of `google.rpc.ErrorInfo.reason` for a limit that was reached. */
export type LimitReason =
  | "RATE_LIMITED"
  | "USES_EXHAUSTED"
  | "TOO_MANY_FAILED_AUTHENTICATIONS"
  | "TOO_MANY_STREAMS"
  | "TOO_MANY_PENDING_AUTHORIZATIONS"
  | "TOO_MANY_CONNECTIONS"
  | "STREAM_NOT_READ"
  | "HEADERS_TOO_LARGE"
  | "MESSAGE_TOO_LARGE";

/** One error of the input: a field by its path in the request, and the limit it breaks. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/**
 * What the daemon returns to its callers. One subclass for each reaction of a caller; the closed set is `NexusErrorKind`. The `cause` is
 * for the log and is never sent.
 */
export abstract class NexusError extends Error {
  abstract readonly kind: NexusErrorKind;
  /** Of a use that a rule refuses, or that another daemon carries out: for the audit log. */
  use?: Use;

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
  }
}

export type NexusErrorKind =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "failed_precondition"
  | "aborted"
  | "unauthenticated"
  | "permission_denied"
  | "unavailable"
  | "resource_exhausted"
  | "data_loss"
  | "unimplemented";

/** Fix the request. */
export class InvalidArgument extends NexusError {
  readonly kind = "invalid_argument";

  constructor(readonly violations: readonly FieldViolation[]) {
    super(violations.map((violation) => `${violation.field}: ${violation.description}`).join("; "));
  }
}

/** It does not exist, or the caller may not know that it does. */
export class NotFound extends NexusError {
  readonly kind = "not_found";

  constructor(
    readonly resource:
      | "provider"
      | "connection"
      | "request"
      | "template"
      | "key"
      | "api_key"
      | "principal"
      | "receiver",
    /** The printable name that the caller gave: the same whether it does not exist or is hidden from the caller. */
    name?: string,
  ) {
    super(`${resource.replace("_", " ")} not found${name === undefined ? "" : `: "${name}"`}`);
  }
}

/** Choose another name. */
export class AlreadyExists extends NexusError {
  readonly kind = "already_exists";
}

/** A person must act first. */
export class FailedPrecondition extends NexusError {
  readonly kind = "failed_precondition";

  constructor(
    readonly reason: PreconditionReason,
    message: string,
    cause?: unknown,
    /** Why the connection is not well, where that is what stands in the way. */
    readonly problem?: ProblemReason,
  ) {
    super(message, cause);
  }
}

/** Read again and repeat. */
export class Aborted extends NexusError {
  readonly kind = "aborted";
}

/** Say who you are. */
export class Unauthenticated extends NexusError {
  readonly kind = "unauthenticated";
}

/** You may not. */
export class PermissionDenied extends NexusError {
  readonly kind = "permission_denied";
}

/** No caller is told to come sooner: what is due at that very moment is not done yet, and it would ask in a loop. */
const minRetryAfterMs = 1_000;

function atLeast(retryAfterMs: number): number {
  return Math.max(minRetryAfterMs, retryAfterMs);
}

/** Try again, after `retryAfterMs` when it is set. */
export class Unavailable extends NexusError {
  readonly kind = "unavailable";
  /** At least a second. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number, cause?: unknown) {
    super(message, cause);
    this.retryAfterMs = retryAfterMs === undefined ? undefined : atLeast(retryAfterMs);
  }
}

/** What a caller has waited for in vain: a person, or an exchange of a code, for as long as that may take. */
export type WaitedFor = "person" | "exchange";

/** This hub follows another one, which alone writes: nothing was changed here. */
export class NotLeader extends Unavailable {
  /**
   * @param waitedFor what the caller has waited for here: the leader does not wait for it again
   * @param use what the caller was admitted to here; undefined when nothing has judged it yet
   */
  constructor(
    readonly waitedFor?: WaitedFor,
    use?: Use,
  ) {
    super("this hub does not lead: try again, or ask another hub", 1_000);
    if (use !== undefined) this.use = use;
  }
}

/** A limit is reached: what it is, and which setting changes it. */
export interface ReachedLimit {
  /** What is limited, as the subject of a sentence: "connections of this user id". */
  readonly what: string;
  readonly limit: number;
  /** "per second", "bytes"; empty for a count. */
  readonly unit: string;
  /** Undefined for a limit that no setting changes. */
  readonly setting?: string;
  readonly retryAfterMs?: number;
}

/** Slow down, or make room. */
export class ResourceExhausted extends NexusError {
  readonly kind = "resource_exhausted";

  readonly reached: ReachedLimit;

  /** @param reached whose time becomes a second at least */
  constructor(
    readonly reason: LimitReason,
    reached: ReachedLimit,
    message?: string,
  ) {
    const { what, limit, unit, setting, retryAfterMs } = reached;
    const whose = setting === undefined ? "" : ` (the setting is ${setting})`;
    super(message ?? `${what}: at most ${limit}${unit === "" ? "" : ` ${unit}`}${whose}`);
    this.reached = retryAfterMs === undefined ? reached : { ...reached, retryAfterMs: atLeast(retryAfterMs) };
  }
}

/** The stored record cannot be opened. */
export class DataLoss extends NexusError {
  readonly kind = "data_loss";
}

/** Whether rules, or a reviewer, refuse the request that a credential is for: other errors are about the credential. */
export function isRuleRefusal(error: NexusError): boolean {
  return (
    error instanceof PermissionDenied ||
    (error instanceof FailedPrecondition && error.reason === "USE_EGRESS")
  );
}

/**
 * The error that another process named by its kind: for its callers, it is the same one. Where the kind tells nothing that a caller could act
 * on, it is unavailable.
 */
export function errorOfKind(
  kind: string,
  message: string,
  about: {
    readonly reason?: string | undefined;
    readonly violations?: readonly FieldViolation[];
    readonly retryAfterMs?: number | undefined;
    readonly limit?: Pick<ReachedLimit, "what" | "limit"> | undefined;
    readonly cause?: unknown;
  } = {},
): NexusError {
  const { reason = "", violations = [], retryAfterMs, limit = { what: "uses", limit: 0 }, cause } = about;
  switch (kind) {
    case "invalid_argument":
      return new InvalidArgument(
        violations.length > 0 ? violations : [{ field: "request", description: message }],
      );
    case "failed_precondition":
      return new FailedPrecondition(reason as PreconditionReason, message, cause);
    case "not_found": {
      const [, what = "connection", name] = /^([a-z ]+) not found(?:: "(.+)")?$/.exec(message) ?? [];
      return new NotFound(what.replace(" ", "_") as NotFound["resource"], name);
    }
    case "already_exists":
      return new AlreadyExists(message, cause);
    case "aborted":
      return new Aborted(message, cause);
    case "unauthenticated":
      return new Unauthenticated(message, cause);
    case "permission_denied":
      return new PermissionDenied(message, cause);
    case "data_loss":
      return new DataLoss(message, cause);
    case "resource_exhausted":
      if (reason !== "USES_EXHAUSTED") return new Unavailable(message, retryAfterMs, cause);
      return new ResourceExhausted(
        reason,
        { ...limit, unit: "", ...(retryAfterMs !== undefined && { retryAfterMs }) },
        message,
      );
    default:
      return new Unavailable(message, retryAfterMs, cause);
  }
}

/** What `work` answers; undefined where it needs a record that cannot be opened or read. */
export function unlessDataLoss<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof DataLoss) return undefined;
    throw error;
  }
}

/** An extension would do this, and the build does not have it. */
export class Unimplemented extends NexusError {
  readonly kind = "unimplemented";
}

/**
 * A commit could not be made durable, or is not known to be. Nothing more is written: the process must end. It is no `NexusError`, since
 * nothing goes on from it; callers get `UNAVAILABLE`.
 */
export class StoreFailed extends Error {
  override readonly name = "StoreFailed";
}
