import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { NotFound } from "../../model/errors.js";
import type { JsonValue } from "../../model/json.js";
import { toWireError } from "./error_table.js";
import { codes, WireError } from "./wire_error.js";

/** Answer of a REST route. */
export interface RestAnswer {
  readonly status: number;
  readonly body: JsonValue;
  /** Instead of `body`, where the answer is no JSON. */
  readonly text?: { readonly contentType: string; readonly body: string | Buffer };
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal that is the REST routes' own: of a request that never became a call. */
export class RestRefusal extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "RestRefusal";
  }
}

export function errorAnswer(
  status: number,
  error: string,
  message: string,
  more: { readonly details?: JsonValue; readonly headers?: Readonly<Record<string, string>> } = {},
): RestAnswer {
  const { details, headers } = more;
  return {
    status,
    // `code` is what the envelope of Nexus's SDK reads.
    body: { error, code: error, message, ...(details === undefined ? {} : { details }) },
    ...(headers ? { headers } : {}),
  };
}

type Code = (typeof codes)[keyof typeof codes];

/** Status and stable word of each code whose details say no more. */
const ofCode: Readonly<Record<Code, readonly [number, string]>> = {
  [codes.cancelled]: [499, "cancelled"],
  [codes.unknown]: [500, "internal"],
  [codes.invalid_argument]: [400, "invalid_argument"],
  [codes.deadline_exceeded]: [504, "deadline_exceeded"],
  [codes.not_found]: [404, "not_found"],
  [codes.already_exists]: [409, "already_exists"],
  [codes.permission_denied]: [403, "permission_denied"],
  [codes.resource_exhausted]: [429, "resource_exhausted"],
  [codes.failed_precondition]: [409, "failed_precondition"],
  [codes.aborted]: [409, "aborted"],
  [codes.unimplemented]: [501, "unimplemented"],
  [codes.internal]: [500, "internal"],
  [codes.unavailable]: [503, "unavailable"],
  [codes.data_loss]: [500, "data_loss"],
  [codes.unauthenticated]: [401, "unauthenticated"],
};

/** Preconditions that the caller got wrong; the others are the state of the connection: 409. */
const badRequests = ["NOT_REFRESHABLE", "NOT_STATIC", "CREDENTIAL_REJECTED"];

/** The contract's form of an error. Anything but a refusal or a `WireError` is thrown on: an error of the daemon. */
export function restError(thrown: unknown): RestAnswer {
  if (thrown instanceof RestRefusal) {
    return errorAnswer(thrown.status, thrown.error, thrown.message, { headers: thrown.headers });
  }
  const error = toWireError(thrown);
  if (!(error instanceof WireError)) throw error;
  const [status, word] = ofCode[error.code];
  const violations = detail(error, BadRequestSchema)?.fieldViolations;
  if (violations) {
    const details = violations.map(({ field, description }) => ({
      field: contractField(field),
      description,
    }));
    const message = details.map(({ field, description }) => `${field}: ${description}`).join("; ");
    return errorAnswer(status, word, message, { details });
  }
  const reason = detail(error, ErrorInfoSchema)?.reason;
  if (reason !== undefined) {
    const code = badRequests.includes(reason) ? 400 : status;
    return errorAnswer(code, reason.toLowerCase(), error.message, { headers: retryHeaders(error) });
  }
  if (error.cause instanceof NotFound) {
    const { resource } = error.cause;
    return errorAnswer(
      status,
      resource === "request" ? "invalid_state" : `${resource}_not_found`,
      error.message,
    );
  }
  return errorAnswer(status, word, error.message, { headers: retryHeaders(error) });
}

function retryHeaders(error: WireError): Readonly<Record<string, string>> {
  const delay = detail(error, RetryInfoSchema)?.retryDelay;
  return delay ? { "retry-after": String(Math.ceil(durationMs(delay) / 1000)) } : {};
}

/** The reason of a failed precondition, if `error` is one. */
export function preconditionOf(error: unknown): string | undefined {
  return error instanceof WireError ? detail(error, ErrorInfoSchema)?.reason : undefined;
}

/** Field of the contract's profile that a field of `nexus.v1.Provider` comes from. */
export function contractField(field: string): string {
  if (!field.startsWith("provider.")) return field;
  return field
    .slice("provider.".length)
    .replace(/^strategy\.\w+\./, "params.auth_strategy.config.")
    .replace(/^strategy$/, "auth_strategy")
    .replace(/^authorization_params\b/, "params")
    .replace(/^credential_schema\b/, "params.credential_schema");
}

type MessageOf<S> = S extends GenMessage<infer M> ? M : never;

function detail<S extends typeof BadRequestSchema | typeof ErrorInfoSchema | typeof RetryInfoSchema>(
  error: WireError,
  schema: S,
): MessageOf<S> | undefined {
  const found = error.details.find(({ descriptor }) => descriptor.typeName === schema.typeName);
  return found?.value as MessageOf<S> | undefined;
}
