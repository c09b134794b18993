import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../src/gen/google/rpc/error_details_pb.js";

/** What a call that must fail failed with. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Fields of `google.rpc.BadRequest`. */
  readonly fields: string[];
  /** `google.rpc.ErrorInfo.reason`. */
  readonly reason: string | undefined;
  /** `google.rpc.ErrorInfo.metadata["problem"]`. */
  readonly problem: string | undefined;
  /** `google.rpc.RetryInfo.retry_delay`, in milliseconds. */
  readonly retryMs: number | undefined;
}

export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
    return {
      code: Code[error.code] ?? "?",
      message: error.rawMessage,
      fields: error
        .findDetails(BadRequestSchema)
        .flatMap((detail) => detail.fieldViolations.map(({ field }) => field)),
      reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
      problem: error.findDetails(ErrorInfoSchema)[0]?.metadata["problem"],
      retryMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
    };
  }
  throw new Error(
    `the call did not fail: ${JSON.stringify(answer, (_key, value) => (typeof value === "bigint" ? String(value) : value))}`,
  );
}
