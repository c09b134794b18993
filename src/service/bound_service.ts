import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { Principal } from "../model/principal.js";

/** What a door knows about a call. */
export interface CallContext {
  readonly principal: Principal;
  /** Aborts when the caller goes away, its deadline passes, or the door closes. */
  readonly signal: AbortSignal;
}

/** At once where nothing has to be waited for. */
export type Answer = Message | Promise<Message>;

/** One RPC, ready to be bound to an engine. Whatever it throws is a `WireError`. */
export type BoundMethod =
  | {
      readonly kind: "unary";
      readonly descriptor: DescMethod;
      /** Checks the rules declared in the proto, as `call` does first. @throws WireError */
      validate(request: Message): void;
      call(request: Message, context: CallContext): Answer;
      /** Decodes a request that agents repeat; absent where nothing is gained. @throws Error when the bytes are no such message */
      decode?(bytes: Buffer): Message;
    }
  | {
      readonly kind: "server_streaming";
      readonly descriptor: DescMethod;
      /** As above. @throws WireError */
      validate(request: Message): void;
      /** Ends by itself soon after `context.signal` aborts. */
      call(request: Message, context: CallContext): AsyncIterable<Message>;
    };

/** One service, ready to be bound to an engine. */
export interface BoundService {
  readonly descriptor: DescService;
  readonly methods: readonly BoundMethod[];
}
