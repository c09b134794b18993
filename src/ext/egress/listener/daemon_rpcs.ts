import {
  create,
  type DescMessage,
  type DescMethodUnary,
  isMessage,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  TokenService,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/access.js";
import { drawn, type StreamSink } from "../../../runtime/runtime.js";
import { callerTrace } from "../../../server/kit.js";
import type { RpcOptions } from "../../../service/messages/messages.js";
import { type BoundService, callerOf, fromWireError } from "../../../service/service.js";
import type { EgressRpcs } from "../proxy/credentials.js";

const neverAborted = new AbortController().signal;
const { acquireToken, getToken, reportRejectedToken, createProof, watchTokens } = TokenService.method;

/** The RPCs of this daemon for one caller: permissions, limits, audit, and what a fleet forwards are those of calls at its listeners. */
export function daemonRpcs(services: readonly BoundService[], principal: Principal): EgressRpcs {
  const callFor = callerOf(services);
  const rpc =
    <I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>) =>
    (request: MessageInitShape<I>, { traceparent, signal = () => neverAborted }: RpcOptions = {}) => {
      const context = {
        principal,
        trace: callerTrace(traceparent, undefined),
        get signal() {
          return signal();
        },
      };
      return answered(() => callFor(context)(method, request));
    };
  const bound = services
    .flatMap((service) => service.methods)
    .find(({ descriptor }) => descriptor === watchTokens);
  return {
    acquireToken: rpc(acquireToken),
    getToken: rpc(getToken),
    reportRejectedToken: rpc(reportRejectedToken),
    createProof: rpc(createProof),
    watchTokens: async function* (init, signal): AsyncGenerator<WatchTokensResponse> {
      if (bound?.kind !== "server_streaming") throw new Error("WatchTokens is not bound");
      const request = create(watchTokens.input, init);
      const messages = drawn((sink: StreamSink<unknown>) => bound.open(request, { principal }, sink), signal);
      for (;;) {
        const { done, value } = await answered(() => messages.next());
        if (done === true) return;
        if (isMessage(value, WatchTokensResponseSchema)) yield value;
      }
    },
  };
}

async function answered<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromWireError(error);
  }
}
