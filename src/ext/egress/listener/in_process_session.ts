import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { callFailure, type DaemonSession } from "../../../cli/kit.js";
import { TokenService } from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/access.js";
import { drawn, type StreamSink } from "../../../runtime/runtime.js";
import { callerTrace, toConnectError } from "../../../server/kit.js";
import { type BoundService, callerOf, toWireError, WireError } from "../../../service/service.js";

const neverAborted = new AbortController().signal;

/** The daemon of this process, as a client of its contract: permissions, limits and audit are those of `principal`. */
export function inProcessSession(services: readonly BoundService[], principal: Principal): DaemonSession {
  const callFor = callerOf(services);
  const unary =
    <I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>) =>
    (request: MessageInitShape<I>, options: CallOptions = {}) => {
      const { traceparent } = (options.headers ?? {}) as Readonly<Record<string, string>>;
      const context = {
        ...{ principal, trace: callerTrace(traceparent, undefined) },
        get signal() {
          return options.signal ?? neverAborted;
        },
      };
      return called(() => callFor(context)(method, request));
    };
  const { acquireToken, reportRejectedToken, createProof, watchTokens } = TokenService.method;
  const watch = async function* (
    init: MessageInitShape<typeof watchTokens.input>,
    { signal = neverAborted }: CallOptions,
  ): AsyncGenerator<Message> {
    const methods = services.flatMap((service) => service.methods);
    const bound = methods.find(({ descriptor }) => descriptor === watchTokens);
    if (bound?.kind !== "server_streaming") throw new Error("WatchTokens is not bound");
    const request = create(watchTokens.input, init);
    const messages = drawn((sink: StreamSink<Message>) => bound.open(request, { principal }, sink), signal);
    for (;;) {
      const { done, value } = await called(() => messages.next());
      if (done === true) return;
      yield value;
    }
  };
  const tokens = {
    acquireToken: unary(acquireToken),
    reportRejectedToken: unary(reportRejectedToken),
    createProof: unary(createProof),
    watchTokens: watch,
  };
  const call: DaemonSession["call"] = async (doing, method, request, options) => {
    try {
      return await method(request, options);
    } catch (error) {
      throw callFailure(error, doing, "this daemon");
    }
  };
  return { daemon: { tokens }, call } as unknown as DaemonSession;
}

async function called<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const wire = toWireError(error);
    throw wire instanceof WireError ? toConnectError(wire) : wire;
  }
}
