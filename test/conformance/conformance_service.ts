import {
  create,
  createRegistry,
  type DescMessage,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { type Any, anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { pump } from "../../src/runtime/stream_sink.js";
import type { BoundMethod, BoundService, StreamContext } from "../../src/service/pipeline/bound_service.js";
import { WireError } from "../../src/service/pipeline/wire_error.js";
import {
  type BidiStreamRequest,
  BidiStreamRequestSchema,
  BidiStreamResponseSchema,
  type ClientStreamRequest,
  ClientStreamRequestSchema,
  ClientStreamResponseSchema,
  type ConformancePayload,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  ConformanceService,
  type Error as DefinedError,
  type Header,
  IdempotentUnaryRequestSchema,
  IdempotentUnaryResponseSchema,
  type ServerStreamRequest,
  ServerStreamRequestSchema,
  ServerStreamResponseSchema,
  type StreamResponseDefinition,
  type UnaryRequest,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
  UnaryResponseSchema,
} from "./gen/connectrpc/conformance/v1/service_pb.js";
import { sleep } from "./sleep.js";

const registry = createRegistry(ConformanceService.file);
const { method } = ConformanceService;

/** `connectrpc.conformance.v1.ConformanceService` as the comments of its proto have it. `Unimplemented` is not there. */
export const conformanceService: BoundService = {
  descriptor: ConformanceService,
  methods: [
    unary(method.unary, UnaryRequestSchema),
    unary(method.idempotentUnary, IdempotentUnaryRequestSchema),
    {
      kind: "server_streaming",
      descriptor: method.serverStream,
      open: (request, context, sink) =>
        pump(() => serverStream(request as ServerStreamRequest, context), sink),
    },
    {
      kind: "bidi_streaming",
      descriptor: method.clientStream,
      open: (requests, context, sink) =>
        pump(() => clientStream(requests as AsyncIterable<ClientStreamRequest>, context), sink),
    },
    {
      kind: "bidi_streaming",
      descriptor: method.bidiStream,
      open: (requests, context, sink) =>
        pump(() => bidiStream(requests as AsyncIterable<BidiStreamRequest>, context), sink),
    },
  ],
};

function unary(
  descriptor: typeof method.unary | typeof method.idempotentUnary,
  input: typeof UnaryRequestSchema | typeof IdempotentUnaryRequestSchema,
): BoundMethod {
  const output = descriptor === method.unary ? UnaryResponseSchema : IdempotentUnaryResponseSchema;
  return {
    kind: "unary",
    descriptor,
    call: async (request, context) => {
      const observed = observe(context);
      const { responseDefinition } = request as UnaryRequest;
      const packed = pack(input, request);
      return create(output, { payload: await payloadOf(responseDefinition, observed, [packed]) });
    },
  };
}

async function* serverStream(request: ServerStreamRequest, context: StreamContext): AsyncGenerator<Message> {
  const observed = observe(context);
  const definition = request.responseDefinition;
  observed.begin(definition);
  let info: ConformancePayload_RequestInfo | undefined = observed.info([
    pack(ServerStreamRequestSchema, request),
  ]);
  for (const data of definition?.responseData ?? []) {
    await sleep(definition?.responseDelayMs);
    yield create(ServerStreamResponseSchema, { payload: payload(data, info) });
    info = undefined;
  }
  if (definition?.error) throw errorOf(definition.error, info);
}

async function* clientStream(
  requests: AsyncIterable<ClientStreamRequest>,
  context: StreamContext,
): AsyncGenerator<Message> {
  const observed = observe(context);
  const received: Any[] = [];
  let definition: UnaryResponseDefinition | undefined;
  for await (const request of requests) {
    if (received.length === 0) definition = request.responseDefinition;
    received.push(pack(ClientStreamRequestSchema, request));
  }
  yield create(ClientStreamResponseSchema, { payload: await payloadOf(definition, observed, received) });
}

async function* bidiStream(
  requests: AsyncIterable<BidiStreamRequest>,
  context: StreamContext,
): AsyncGenerator<Message> {
  const observed = observe(context);
  const data: Uint8Array[] = [];
  let received: Any[] = [];
  let definition: StreamResponseDefinition | undefined;
  let first: BidiStreamRequest | undefined;
  let sent = 0;
  const next = async (info: ConformancePayload_RequestInfo | undefined): Promise<Message> => {
    await sleep(definition?.responseDelayMs);
    sent++;
    return create(BidiStreamResponseSchema, { payload: payload(data.shift() ?? new Uint8Array(), info) });
  };
  for await (const request of requests) {
    if (!first) {
      first = request;
      definition = request.responseDefinition;
      data.push(...(definition?.responseData ?? []));
      observed.begin(definition);
    }
    received.push(pack(BidiStreamRequestSchema, request));
    if (!first.fullDuplex) continue;
    if (data.length === 0) break;
    yield await next(sent === 0 ? observed.info(received) : observed.requests(received));
    received = [];
  }
  while (data.length > 0) yield await next(sent === 0 ? observed.info(received) : undefined);
  if (definition?.error) throw errorOf(definition.error, sent === 0 ? observed.info(received) : undefined);
}

/** @throws WireError where the definition says so */
async function payloadOf(
  definition: UnaryResponseDefinition | undefined,
  observed: Observed,
  requests: Any[],
): Promise<ConformancePayload> {
  observed.begin(definition);
  await sleep(definition?.responseDelayMs);
  const response = definition?.response;
  const info = observed.info(requests);
  if (response?.case === "error") throw errorOf(response.value, info);
  return payload(response?.case === "responseData" ? response.value : new Uint8Array(), info);
}

interface Fields {
  readonly responseHeaders: readonly Header[];
  readonly responseTrailers: readonly Header[];
}

/** What the listener knows of a call; taken before anything is waited for. */
interface Observed {
  /** Sets the headers and trailers of the answer. */
  begin(definition: Fields | undefined): void;
  info(requests: Any[]): ConformancePayload_RequestInfo;
  requests(requests: Any[]): ConformancePayload_RequestInfo;
}

function observe({ metadata }: StreamContext): Observed {
  if (!metadata) throw new Error("the call has no metadata");
  const { requestHeader, responseHeader, responseTrailer } = metadata;
  const requestHeaders = [...requestHeader].map(([name, value]) => ({ name, value: [value] }));
  const timeoutMs = timeoutOf(requestHeader);
  // The context of a call over HTTP says more than the daemon's services need.
  const isGet = (metadata as { readonly requestMethod?: string }).requestMethod === "GET";
  return {
    begin: (definition) => {
      for (const { name, value } of definition?.responseHeaders ?? [])
        for (const one of value) responseHeader.append(name, one);
      for (const { name, value } of definition?.responseTrailers ?? [])
        for (const one of value) responseTrailer.append(name, one);
    },
    info: (requests) =>
      create(ConformancePayload_RequestInfoSchema, {
        ...{ requestHeaders, requests },
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(isGet && { connectGetInfo: {} }),
      }),
    requests: (requests) => create(ConformancePayload_RequestInfoSchema, { requests }),
  };
}

function timeoutOf(header: Headers): bigint | undefined {
  const connect = header.get("connect-timeout-ms");
  if (connect !== null) return BigInt(connect);
  const [, digits, unit = ""] = /^(\d+)(.)$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (digits === undefined) return undefined;
  const perMs: Record<string, number> = {
    H: 1 / 3_600_000,
    M: 1 / 60_000,
    S: 1 / 1_000,
    m: 1,
    u: 1e3,
    n: 1e6,
  };
  return BigInt(Math.round(Number(digits) / (perMs[unit] ?? Number.NaN)));
}

function payload(
  data: Uint8Array,
  requestInfo: ConformancePayload_RequestInfo | undefined,
): ConformancePayload {
  return create(ConformancePayloadSchema, { data, ...(requestInfo && { requestInfo }) });
}

function errorOf(error: DefinedError, info: ConformancePayload_RequestInfo | undefined): WireError {
  const details = error.details.flatMap((any) => {
    const descriptor = registry.getMessage(any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1));
    const value = anyUnpack(any, registry);
    if (!descriptor || !value) throw new Error(`${any.typeUrl} is not known`);
    return [{ descriptor: descriptor as GenMessage<Message>, value }];
  });
  const observed = info && {
    descriptor: ConformancePayload_RequestInfoSchema as GenMessage<Message>,
    value: info as Message,
  };
  const code = error.code as number as WireError["code"];
  return new WireError(code, error.message ?? "", observed ? [...details, observed] : details);
}

function pack<D extends DescMessage>(descriptor: D, message: Message): Any {
  return anyPack(descriptor, message as MessageShape<D>);
}
