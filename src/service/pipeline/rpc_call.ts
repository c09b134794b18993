import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { BoundMethod, BoundService, CallContext } from "./bound_service.js";

/** Calls an RPC of the new contract as the caller of an old one: rules, decisions and errors are those of the RPC. */
export type Call = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
) => Promise<MessageShape<O>>;

/** The RPCs of `services` by their descriptors. */
export function callerOf(services: readonly BoundService[]): (context: CallContext) => Call {
  const methods = new Map<unknown, BoundMethod>(
    services.flatMap((service) => service.methods.map((method) => [method.descriptor, method])),
  );
  return (context) =>
    async <I extends DescMessage, O extends DescMessage>(
      descriptor: DescMethodUnary<I, O>,
      request: MessageInitShape<I>,
    ) => {
      const method = methods.get(descriptor);
      if (method?.kind !== "unary") throw new Error(`${descriptor.name} is not bound`);
      return (await method.call(create(descriptor.input, request), context)) as MessageShape<O>;
    };
}
