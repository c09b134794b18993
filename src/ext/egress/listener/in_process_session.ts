import { create, type Message, type MessageShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import type { Daemon } from "../../../cli/shell/client.js";
import { type DaemonSession, sessionOf } from "../../../cli/shell/daemon_command.js";
import type { Shell } from "../../../cli/shell/shell.js";
import { TokenService } from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/principal.js";
import { drawn, type StreamSink } from "../../../runtime/stream_sink.js";
import { callerTrace } from "../../../server/callers/caller_trace.js";
import { toConnectError } from "../../../server/connect/connect_binding.js";
import type { BoundMethod, BoundService } from "../../../service/pipeline/bound_service.js";
import { toWireError } from "../../../service/pipeline/error_table.js";
import { WireError } from "../../../service/pipeline/wire_error.js";

const neverAborted = new AbortController().signal;

/** The daemon of this process, as a client of its contract: permissions, limits and audit are those of `principal`. */
export function inProcessSession(services: readonly BoundService[], principal: Principal): DaemonSession {
  const methods = new Map<unknown, BoundMethod>(
    services.flatMap((service) => service.methods.map((method) => [method.descriptor, method])),
  );
  const transport: Transport = {
    async unary(method, signal = neverAborted, _timeoutMs, header, input) {
      const bound = methods.get(method);
      if (bound?.kind !== "unary") throw new Error(`${method.name} is not bound`);
      const request = create(method.input, input);
      const trace = callerTrace(new Headers(header).get("traceparent"), undefined);
      const context = { principal, signal, trace };
      const message = (await called(async () => bound.call(request, context))) as MessageShape<
        typeof method.output
      >;
      return { stream: false, service: method.parent, method, header: none(), trailer: none(), message };
    },
    async stream(method, signal = neverAborted, _timeoutMs, _header, input) {
      const bound = methods.get(method);
      if (bound?.kind !== "server_streaming") throw new Error(`${method.name} is not bound`);
      const first = await input[Symbol.asyncIterator]().next();
      const request = create(method.input, first.value);
      const open = (sink: StreamSink<Message>) => bound.open(request, { principal }, sink);
      const message = converted(drawn(open, signal)) as AsyncIterable<MessageShape<typeof method.output>>;
      return { stream: true, service: method.parent, method, header: none(), trailer: none(), message };
    },
  };
  const daemon = { tokens: createClient(TokenService, transport), address: "this daemon" };
  // Nothing is printed: what shows answers has no part in this.
  return sessionOf({} as Shell, daemon as unknown as Daemon);
}

async function* converted(messages: AsyncIterable<Message>): AsyncGenerator<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const step = await called(() => iterator.next());
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function called<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    const wire = toWireError(error);
    throw wire instanceof WireError ? toConnectError(wire) : wire;
  }
}

const none = (): Headers => new Headers();
