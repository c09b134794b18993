import { type Duration, timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AttentionRequired,
  ConsentRequired,
  DeadlineExceeded,
  InvalidArgument,
  NexusError,
  NotFound,
  PermissionDenied,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import type { ConsentRequired as Consent } from "./gen/nexus/v1/token_pb.js";

/**
 * Whether the connection failed, and not the daemon's answer: the errors of Node's sockets, TLS and HTTP/2 have words for codes, those of
 * Connect have numbers. What is wrong with an argument fails before there is a connection.
 */
export function isOfTheConnection(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = "code" in each ? each.code : undefined;
    if (typeof code === "string") return !code.startsWith("ERR_INVALID_") && code !== "ABORT_ERR";
  }
  return false;
}

/** An error of this library for whatever a call threw. */
export function nexusErrorOf(thrown: unknown): NexusError {
  if (thrown instanceof NexusError) return thrown;
  const error = ConnectError.from(thrown);
  const { rawMessage } = error;
  if (isOfTheConnection(error)) {
    return new Unavailable(`the daemon cannot be reached: ${rawMessage}`, undefined, undefined, error);
  }
  const reason = error.findDetails(ErrorInfoSchema)[0]?.reason;
  switch (error.code) {
    case Code.Unavailable:
    case Code.ResourceExhausted:
    case Code.Aborted: {
      const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
      return new Unavailable(rawMessage, reason, delay && millisecondsOf(delay), error);
    }
    case Code.NotFound:
      return new NotFound(rawMessage, reason, error);
    case Code.Unauthenticated:
      return new Unauthenticated(rawMessage, reason, error);
    case Code.PermissionDenied:
      return new PermissionDenied(rawMessage, reason, error);
    case Code.InvalidArgument:
      return new InvalidArgument(rawMessage, reason, error);
    case Code.DeadlineExceeded:
      return new DeadlineExceeded(rawMessage, reason, error);
    case Code.FailedPrecondition:
      return new AttentionRequired(rawMessage, { ...noLink, reason: reason ?? "" }, error);
    default:
      return new NexusError(rawMessage, reason, error);
  }
}

/** A person must act, and no link says how. */
const noLink = { authUrl: undefined, connectionId: undefined, expiresAt: undefined };

/** What `token` throws where a person must act first. */
export function consentErrorOf(consent: Consent): ConsentRequired {
  const { reason, authUrl, connectionId, expiresAt } = consent;
  const { verificationUri, userCode, verificationUriComplete } = consent;
  const isNew = reason === "not_connected" || reason === "scopes_missing";
  const Kind = isNew ? ConsentRequired : AttentionRequired;
  const what = userCode === "" ? "open the link" : "enter the code";
  return new Kind(`a person must ${what} first (${reason})`, {
    ...{ authUrl, connectionId, reason, expiresAt: expiresAt && timestampDate(expiresAt) },
    ...(userCode === "" ? {} : { verificationUri, userCode }),
    ...(verificationUriComplete === "" ? {} : { verificationUriComplete }),
  });
}

export function millisecondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
