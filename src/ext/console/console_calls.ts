import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Principal } from "../../model/access/principal.js";
import type { StreamSink, StreamSource } from "../../runtime/stream_sink.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { type Call, callerOf } from "../../service/pipeline/rpc_call.js";
import type { OpenStream } from "./kit/request.js";

/** The RPCs of `services`, as pages call them. */
export class ConsoleCalls {
  readonly #callerFor: ReturnType<typeof callerOf>;

  constructor(private readonly services: readonly BoundService[]) {
    this.#callerFor = callerOf(services);
  }

  /** @param signal aborts when the visitor leaves */
  callFor(principal: Principal, signal: AbortSignal): Call {
    return this.#callerFor({ principal, signal });
  }

  /** @param hold has `end` called when the session of the visitor ends, until its release */
  openFor(principal: Principal, hold: (end: () => void) => () => void): OpenStream {
    return <I extends DescMessage, O extends DescMessage>(
      descriptor: DescMethodServerStreaming<I, O>,
      request: MessageInitShape<I>,
      sink: StreamSink<MessageShape<O>>,
    ) => {
      const method = this.services
        .flatMap(({ methods }) => methods)
        .find((each) => each.descriptor === descriptor);
      if (method?.kind !== "server_streaming") throw new Error(`${descriptor.name} is not bound`);
      const open = (own: StreamSink<Message>) =>
        method.open(create(descriptor.input, request), { principal }, own);
      return heldStream(open, sink as unknown as StreamSink<Message>, hold);
    };
  }
}

/** The same stream, that ends without an error when the session of its reader does. */
function heldStream(
  open: (sink: StreamSink<Message>) => StreamSource,
  sink: StreamSink<Message>,
  hold: (end: () => void) => () => void,
): StreamSource {
  let source: StreamSource | undefined;
  let release: (() => void) | undefined;
  let isOver = false;
  const over = (): boolean => {
    if (isOver) return false;
    isOver = true;
    release?.();
    return true;
  };
  source = open({
    send: (message) => sink.send(message),
    end: (error) => {
      if (over()) sink.end(error);
    },
  });
  if (!isOver) {
    release = hold(() => {
      if (!over()) return;
      source?.cancel();
      sink.end();
    });
  }
  // The session may have ended meanwhile.
  if (isOver) release?.();
  return {
    resume: () => source?.resume(),
    cancel: () => {
      if (over()) source?.cancel();
    },
  };
}
