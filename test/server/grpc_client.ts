import { once } from "node:events";
import { type ClientHttp2Stream, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  RefreshTokenRequestSchema,
  TokenService,
  WatchTokensRequestSchema,
  type WatchTokensResponse,
} from "../../src/gen/nexus/v1/token_pb.js";

interface Method {
  readonly parent: { readonly typeName: string };
  readonly name: string;
}

/** An agent with grpc-js and no generated stubs. */
export class GrpcTestClient {
  readonly #client: Client;

  constructor(
    target: string,
    readonly metadata: Readonly<Record<string, string>> = {},
    options: Readonly<Record<string, string | number>> = {},
    channel: ChannelCredentials = credentials.createInsecure(),
  ) {
    this.#client = new Client(target, channel, {
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
  }

  call<I extends DescMessage, O extends DescMessage>(
    method: Method & { readonly input: I; readonly output: O },
    request: MessageInitShape<I>,
    deadlineMs = 10_000,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        pathOf(method),
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes) => fromBinary(method.output, bytes),
        create(method.input, request),
        this.#fields(),
        { deadline: Date.now() + deadlineMs },
        (error, response) => (error || !response ? reject(error) : resolve(response)),
      );
    });
  }

  watch(userId: string): ClientReadableStream<WatchTokensResponse> {
    const method = TokenService.method.watchTokens;
    return this.#client.makeServerStreamRequest(
      pathOf(method),
      (message: MessageShape<typeof method.input>) => Buffer.from(toBinary(method.input, message)),
      (bytes) => fromBinary(method.output, bytes),
      create(method.input, { userId }),
      this.#fields(),
    );
  }

  close(): void {
    this.#client.close();
  }

  #fields(): Metadata {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(this.metadata)) metadata.set(name, value);
    return metadata;
  }
}

function pathOf(method: Method): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The `error` of a stream. */
export async function errorOf(stream: ClientReadableStream<unknown>): Promise<ServiceError> {
  const [error] = (await once(stream, "error")) as [ServiceError];
  return error;
}

/** A call by hand over HTTP/2, for what no client library does. */
export function rawCall(
  socketPath: string,
  path: string,
  request: MessageInitShape<typeof WatchTokensRequestSchema> | { connectionId: string },
  authority = "localhost",
): ClientHttp2Stream {
  const message =
    "connectionId" in request
      ? toBinary(RefreshTokenRequestSchema, create(RefreshTokenRequestSchema, request))
      : toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema, request));
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socketPath) });
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    ":authority": authority,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.once("close", () => session.destroy());
  stream.end(encodeEnvelope(0, message));
  return stream;
}
