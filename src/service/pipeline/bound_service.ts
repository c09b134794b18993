import type { DescMethod, DescMethodUnary, DescService, Message } from "@bufbuild/protobuf";
import type { Principal } from "../../model/access/principal.js";
import type { WaitedFor } from "../../model/errors.js";
import type { CallerTrace } from "../../model/tracing.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";

/** What goes beside the messages of a call. The services of the contract use none of it. */
export interface CallMetadata {
  /** As it came; read before the first wait, for a stream lets go of it once it is open. */
  readonly requestHeader: Headers;
  /** Sent with the first message, or with the status where there is none. */
  readonly responseHeader: Headers;
  /** Sent with the status. */
  readonly responseTrailer: Headers;
}

/** What a listener knows about a stream; the source is notified when its caller left. */
export interface StreamContext {
  readonly principal: Principal;
  /** The trace of the caller, where it sent one. */
  readonly trace?: CallerTrace | undefined;
  /** Absent where a protocol has none, as with REST. */
  readonly metadata?: CallMetadata;
}

/** What a listener knows about a call. */
export interface CallContext extends StreamContext {
  /** Aborts when the caller goes away, its deadline passes, or the listener closes. */
  readonly signal: AbortSignal;
  /** Of a call that another hub forwards: what its caller has waited for there, and does not wait for again. */
  readonly waitedFor?: WaitedFor | undefined;
}

export type MessageSink = StreamSink<Message>;

/** At once where nothing has to be waited for. */
export type RpcAnswer = Message | Promise<Message>;

/** One RPC. What it throws, and what its streams end with, is a `WireError` or an error of ours. */
export type BoundMethod =
  | {
      readonly kind: "unary";
      readonly descriptor: DescMethodUnary;
      call(request: Message, context: CallContext): RpcAnswer;
    }
  | {
      readonly kind: "server_streaming";
      readonly descriptor: DescMethod;
      /** Never throws: an error ends the sink. */
      open(request: Message, context: StreamContext, sink: MessageSink): StreamSource;
    }
  | {
      /** Requests are a stream; the answer too, or one message according to the descriptor. */
      readonly kind: "bidi_streaming";
      readonly descriptor: DescMethod;
      /** As above. Ends by itself soon after `requests` end. */
      open(requests: AsyncIterable<Message>, context: StreamContext, sink: MessageSink): StreamSource;
    };

/** One service, ready to be served by an engine. */
export interface BoundService {
  readonly descriptor: DescService;
  readonly methods: readonly BoundMethod[];
  /** Whether callers without a credential are served: it says nothing of anyone's secrets. Default not. */
  readonly isOpen?: boolean;
}
