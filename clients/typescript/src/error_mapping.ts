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
import { isOfTheConnection, unreachableMessage } from "./unreachable.js";

/**
 * An error of this library for whatever a call threw.
 *
 * @param address of the daemon, as a person writes it
 */
export function nexusErrorOf(thrown: unknown, address: string): NexusError {
  if (thrown instanceof NexusError) return thrown;
  const error = ConnectError.from(thrown);
  const { rawMessage } = error;
  if (isOfTheConnection(error)) {
    return new Unavailable(unreachableMessage(error, address), undefined, undefined, error);
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

/**
 * What `token` throws where a person must act first.
 *
 * @param scopes those that an API said are missing
 */
export function consentErrorOf(consent: Consent, scopes: readonly string[] = []): ConsentRequired {
  const { reason, authUrl, connectionId, expiresAt } = consent;
  const { verificationUri, userCode, verificationUriComplete } = consent;
  const isNew = ["not_connected", "scopes_missing", "authentication_insufficient"].includes(reason);
  const Kind = isNew ? ConsentRequired : AttentionRequired;
  const what = userCode === "" ? "the link" : "the code";
  // A framework may show it to a model.
  const message = `the user must connect this account first, by ${what} that the application shows (${reason}). Do not retry: tell the user, and wait.`;
  return new Kind(message, {
    ...{ authUrl, connectionId, reason, expiresAt: expiresAt && timestampDate(expiresAt) },
    ...(scopes.length === 0 ? {} : { scopes }),
    ...(userCode === "" ? {} : { verificationUri, userCode }),
    ...(verificationUriComplete === "" ? {} : { verificationUriComplete }),
  });
}

export function millisecondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}
