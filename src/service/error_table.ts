import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NexusError,
  type NexusErrorKind,
  Unavailable,
} from "../model/errors.js";
import { codes, type ErrorDetail, WireError } from "./wire_error.js";

/** `google.rpc.ErrorInfo.domain` of every error. */
export const errorDomain = "nexus.v1";

const codeOfKind: Readonly<Record<NexusErrorKind, (typeof codes)[keyof typeof codes]>> = {
  invalid_argument: codes.invalid_argument,
  not_found: codes.not_found,
  already_exists: codes.already_exists,
  failed_precondition: codes.failed_precondition,
  aborted: codes.aborted,
  unauthenticated: codes.unauthenticated,
  permission_denied: codes.permission_denied,
  unavailable: codes.unavailable,
  data_loss: codes.data_loss,
  unimplemented: codes.unimplemented,
};

/** The one way from an error of the model to the wire. What is no `NexusError` is returned as it is: a fault of ours. */
export function toWireError(error: unknown): unknown {
  if (error instanceof WireError || !(error instanceof NexusError)) return error;
  return new WireError(codeOfKind[error.kind], error.message, detailsOf(error), error);
}

function detailsOf(error: NexusError): ErrorDetail[] {
  if (error instanceof InvalidArgument) {
    const value = create(BadRequestSchema, {
      fieldViolations: error.violations.map((violation) => ({ ...violation })),
    });
    return [{ descriptor: BadRequestSchema, value }];
  }
  if (error instanceof FailedPrecondition) {
    const value = create(ErrorInfoSchema, { reason: error.reason, domain: errorDomain });
    return [{ descriptor: ErrorInfoSchema, value }];
  }
  if (error instanceof Unavailable && error.retryAfterMs !== undefined) {
    const value = create(RetryInfoSchema, { retryDelay: durationFromMs(error.retryAfterMs) });
    return [{ descriptor: RetryInfoSchema, value }];
  }
  return [];
}
