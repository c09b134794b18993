import type { Message } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";

/** Numbers of the gRPC status codes that the daemon answers. */
export const codes = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
  unauthenticated: 16,
} as const;

/** A message of `google/rpc/error_details.proto` with its descriptor. */
export interface ErrorDetail {
  readonly descriptor: GenMessage<Message>;
  readonly value: Message;
}

/** An error as it goes over the wire: nothing in it is secret. */
export class WireError extends Error {
  constructor(
    readonly code: (typeof codes)[keyof typeof codes],
    message: string,
    readonly details: readonly ErrorDetail[] = [],
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "WireError";
  }
}
