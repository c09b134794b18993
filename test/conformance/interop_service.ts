import { create, type Message } from "@bufbuild/protobuf";
import { pump } from "../../src/runtime/stream_sink.js";
import type { BoundService, StreamContext } from "../../src/service/pipeline/bound_service.js";
import { WireError } from "../../src/service/pipeline/wire_error.js";
import { EmptySchema } from "./gen/grpc/testing/empty_pb.js";
import {
  type EchoStatus,
  type ResponseParameters,
  type SimpleRequest,
  SimpleResponseSchema,
  type StreamingInputCallRequest,
  StreamingInputCallResponseSchema,
  type StreamingOutputCallRequest,
  StreamingOutputCallResponseSchema,
} from "./gen/grpc/testing/messages_pb.js";
import { TestService } from "./gen/grpc/testing/test_pb.js";
import { sleep } from "./sleep.js";

const { method } = TestService;

/**
 * `grpc.testing.TestService` as https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md has it. `UnimplementedCall`
 * is not there, nor is `UnimplementedService`.
 */
export const interopService: BoundService = {
  descriptor: TestService,
  methods: [
    { kind: "unary", descriptor: method.emptyCall, call: () => create(EmptySchema) },
    {
      kind: "unary",
      descriptor: method.unaryCall,
      call: (message, context) => {
        const { responseSize, responseStatus } = message as SimpleRequest;
        echo(context);
        refuse(responseStatus);
        return create(SimpleResponseSchema, { payload: { body: new Uint8Array(responseSize) } });
      },
    },
    {
      kind: "server_streaming",
      descriptor: method.streamingOutputCall,
      open: (request, _context, sink) =>
        pump(() => answers((request as StreamingOutputCallRequest).responseParameters), sink),
    },
    {
      kind: "bidi_streaming",
      descriptor: method.streamingInputCall,
      open: (requests, _context, sink) =>
        pump(async function* () {
          let aggregatedPayloadSize = 0;
          for await (const { payload } of requests as AsyncIterable<StreamingInputCallRequest>)
            aggregatedPayloadSize += payload?.body.length ?? 0;
          yield create(StreamingInputCallResponseSchema, { aggregatedPayloadSize });
        }, sink),
    },
    {
      kind: "bidi_streaming",
      descriptor: method.fullDuplexCall,
      open: (requests, context, sink) => {
        echo(context);
        return pump(async function* () {
          for await (const request of requests as AsyncIterable<StreamingOutputCallRequest>) {
            refuse(request.responseStatus);
            yield* answers(request.responseParameters);
          }
        }, sink);
      },
    },
  ],
};

async function* answers(parameters: readonly ResponseParameters[]): AsyncGenerator<Message> {
  for (const { size, intervalUs } of parameters) {
    await sleep(intervalUs / 1_000);
    yield create(StreamingOutputCallResponseSchema, { payload: { body: new Uint8Array(size) } });
  }
}

/** The case `custom_metadata`. */
function echo({ metadata }: StreamContext): void {
  const initial = metadata?.requestHeader.get("x-grpc-test-echo-initial");
  const trailing = metadata?.requestHeader.get("x-grpc-test-echo-trailing-bin");
  if (initial) metadata?.responseHeader.set("x-grpc-test-echo-initial", initial);
  if (trailing) metadata?.responseTrailer.set("x-grpc-test-echo-trailing-bin", trailing);
}

/** The cases `status_code_and_message` and `special_status_message`. @throws WireError */
function refuse(status: EchoStatus | undefined): void {
  if (status && status.code !== 0) throw new WireError(status.code as WireError["code"], status.message);
}
