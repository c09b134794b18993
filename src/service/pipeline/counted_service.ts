import type { Message } from "@bufbuild/protobuf";
import { NexusError } from "../../model/errors.js";
import { type BoundMethod, type BoundService, type CallContext, wrappedStream } from "./bound_service.js";
import { codes, WireError } from "./wire_error.js";

/** Told of each RPC when it is over. `code` is the name of the gRPC status, `ok` for none. */
export type OnAnswered = (method: string, code: string) => void;

const nameOfCode = new Map<number, string>(Object.entries(codes).map(([name, code]) => [code, name]));

/** The same service, each of its RPCs counted when it ends. */
export function countedService(service: BoundService, onAnswered: OnAnswered): BoundService {
  return {
    descriptor: service.descriptor,
    methods: service.methods.map((method) => counted(method, onAnswered)),
  };
}

function counted(method: BoundMethod, onAnswered: OnAnswered): BoundMethod {
  const name = `${method.descriptor.parent.typeName}/${method.descriptor.name}`;
  if (method.kind === "unary") {
    const succeeded = (answer: Message): Message => {
      onAnswered(name, "ok");
      return answer;
    };
    const failed = (error: unknown): never => {
      onAnswered(name, codeOf(error));
      throw error;
    };
    return {
      ...method,
      call: (request: Message, context: CallContext) => {
        try {
          const answer = method.call(request, context);
          if (answer instanceof Promise) return answer.then(succeeded, failed);
          onAnswered(name, "ok");
          return answer;
        } catch (error) {
          return failed(error);
        }
      },
    };
  }
  return wrappedStream(method, () => (outcome) => {
    if (outcome.cancelled) onAnswered(name, "cancelled");
    else onAnswered(name, outcome.error === undefined ? "ok" : codeOf(outcome.error));
  });
}

/** The name of the status that a call ends with. */
export function codeOf(error: unknown): string {
  if (error instanceof WireError) return nameOfCode.get(error.code) ?? "unknown";
  return error instanceof NexusError ? error.kind : "internal";
}
