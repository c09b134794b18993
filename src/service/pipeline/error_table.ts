import { create, isMessage, type Message } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import {
  errorOfKind,
  FailedPrecondition,
  type FieldViolation,
  InvalidArgument,
  NexusError,
  type NexusErrorKind,
  NotFound,
  ResourceExhausted,
  StoreFailed,
  Unavailable,
} from "../../model/errors.js";
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

/** The log has the cause: this process ends with it. */
const storeFailed =
  "the store of this daemon takes no more writes, and it ends: look whether the request was acted on, and ask again";

/**
 * The one way from an error of the model to the wire. What is neither a `NexusError` nor a store that failed is returned as it is: an error
 * of ours.
 */
export function toWireError(error: unknown): unknown {
  if (error instanceof StoreFailed) return new WireError(codes.unavailable, storeFailed, [], error);
  if (error instanceof WireError || !(error instanceof NexusError)) return error;
  if (error instanceof InvalidArgument) return invalidArgument(error);
  return new WireError(codeOfKind[error.kind], error.message, detailsOf(error), error);
}

/** The error of the model that a call of this process ended with; of what another hub answered, as that one named it. */
export function fromWireError(error: unknown): unknown {
  if (!(error instanceof WireError)) return error;
  if (error.cause instanceof NexusError) return error.cause;
  const found = error.details.map(({ value }) => value);
  const info = found.find((value) => isMessage(value, ErrorInfoSchema));
  const violations = found.flatMap((value) =>
    isMessage(value, BadRequestSchema) ? value.fieldViolations : [],
  );
  const retry = found.find((value) => isMessage(value, RetryInfoSchema))?.retryDelay;
  const subject = found.find((value) => isMessage(value, QuotaFailureSchema))?.violations[0]?.subject;
  return errorOfKind(codeOf(error), error.message, {
    ...{ reason: info?.reason, violations, cause: error },
    retryAfterMs: retry && durationMs(retry),
    limit: subject === undefined ? undefined : { what: subject, limit: Number(info?.metadata["limit"] ?? 0) },
  });
}

/**
 * Characters of all violations together. They travel twice in the trailers of gRPC, where clients take 8 KiB by default, and a request
 * of 1 MiB can have a hundred thousand errors.
 */
const maxViolationCharacters = 2_000;

function invalidArgument(error: InvalidArgument): WireError {
  const reported: FieldViolation[] = [];
  let characters = 0;
  for (const { field, description } of error.violations) {
    const violation = { field: printable(field, 200), description: printable(description, 800) };
    characters += violation.field.length + violation.description.length;
    if (reported.length > 0 && characters > maxViolationCharacters) break;
    reported.push(violation);
  }
  const omitted = error.violations.length - reported.length;
  const sentences = reported.map(({ field, description }) => `${field}: ${description}`);
  const message = [...sentences, ...(omitted > 0 ? [`and ${omitted} more`] : [])].join("; ");
  const value = create(BadRequestSchema, { fieldViolations: reported });
  return new WireError(codes.invalid_argument, message, [{ descriptor: BadRequestSchema, value }], error);
}

/** Names that a caller chose stand in paths of fields: what they hold must not steer the terminal or the log that shows them. */
function printable(text: string, maxCharacters: number): string {
  const escaped = text
    .slice(0, maxCharacters)
    .replace(
      /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
      (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
    );
  return text.length > maxCharacters
    ? `${escaped.slice(0, maxCharacters)}...`
    : escaped.slice(0, maxCharacters);
}

/** As a name may have. */
const maxCharacters = 128;

/** The fields of requests that say which provider is meant. */
interface NamedProviderFields {
  readonly providerName?: unknown;
  readonly providerId?: unknown;
  readonly name?: unknown;
  readonly id?: unknown;
  /** A oneof of name and id. */
  readonly key?: unknown;
  readonly provider?: unknown;
}

/**
 * The error with the provider as the caller wrote it, where that is what was not found. It is reported of the request alone, so that a provider
 * which the caller may not see is answered as one that does not exist.
 */
export function withProviderName(error: unknown, request: Message): unknown {
  if (!(error instanceof NotFound) || error.resource !== "provider") return error;
  const { providerName, providerId, name, id, key, provider } = request as Message & NamedProviderFields;
  const ofName = (name as NamedProviderFields | undefined)?.providerName ?? name;
  const ofKey = ((key ?? provider) as { readonly value?: unknown } | undefined)?.value;
  const identifier = [providerName, ofName, providerId, id, ofKey].find(
    (text) => typeof text === "string" && text !== "",
  );
  return typeof identifier === "string"
    ? new NotFound("provider", printable(identifier, maxCharacters))
    : error;
}

function detailsOf(error: NexusError): ErrorDetail[] {
  if (error instanceof FailedPrecondition) {
    const { reason, problem } = error;
    const metadata = problem === undefined ? {} : { problem };
    const value = create(ErrorInfoSchema, { reason, domain: errorDomain, metadata });
    return [{ descriptor: ErrorInfoSchema, value }];
  }
  if (error instanceof ResourceExhausted) return limitDetails(error);
  if (error instanceof Unavailable && error.retryAfterMs !== undefined)
    return [retryDetail(error.retryAfterMs)];
  return [];
}

function limitDetails({ reason, reached, message }: ResourceExhausted): ErrorDetail[] {
  const { what, limit, setting, retryAfterMs } = reached;
  const metadata = { limit: String(limit), ...(setting !== undefined && { setting }) };
  const info = create(ErrorInfoSchema, { reason, domain: errorDomain, metadata });
  const quota = create(QuotaFailureSchema, {
    violations: [{ subject: setting ?? what, description: message }],
  });
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

const nameOfCode = new Map<number, string>(Object.entries(codes).map(([name, code]) => [code, name]));

/** The name of the status that a call ends with. */
export function codeOf(error: unknown): string {
  if (error instanceof WireError) return nameOfCode.get(error.code) ?? "unknown";
  return error instanceof NexusError ? error.kind : "internal";
}
