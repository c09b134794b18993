import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NexusError,
  type NexusErrorKind,
  ResourceExhausted,
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
  resource_exhausted: codes.resource_exhausted,
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
  if (error instanceof ResourceExhausted) return limitDetails(error);
  if (error instanceof Unavailable && error.retryAfterMs !== undefined)
    return [retryDetail(error.retryAfterMs)];
  return [];
}

function limitDetails({ reason, reached, message }: ResourceExhausted): ErrorDetail[] {
  const { limit, setting, retryAfterMs } = reached;
  const metadata = { limit: String(limit), setting };
  const info = create(ErrorInfoSchema, { reason, domain: errorDomain, metadata });
  const quota = create(QuotaFailureSchema, { violations: [{ subject: setting, description: message }] });
  return [
    { descriptor: ErrorInfoSchema, value: info },
    { descriptor: QuotaFailureSchema, value: quota },
    ...(retryAfterMs === undefined ? [] : [retryDetail(retryAfterMs)]),
  ];
}

function retryDetail(retryAfterMs: number): ErrorDetail {
  const value = create(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) });
  return { descriptor: RetryInfoSchema, value };
}
