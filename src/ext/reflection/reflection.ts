import {
  create,
  createRegistry,
  type DescExtension,
  type DescFile,
  type DescMethodBiDiStreaming,
  type Message,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { pump, type StreamSource } from "../../runtime/runtime.js";
import { type OpenServices, OpenStreams } from "../../server/kit.js";
import { type BoundService, codes, type MessageSink } from "../../service/service.js";

type ReflectionRequest = ServerReflectionRequest["messageRequest"];
type ReflectionResponse = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

const notFound: ReflectionResponse = failure(codes.not_found, "it is not served here");

/** What is declared in the files of the services. */
interface Declared {
  /** By path. */
  readonly files: ReadonlyMap<string, DescFile>;
  readonly registry: Registry;
}

/** Server reflection: the services of a listener, and the files that declare them with all that they import. */
export class Reflection implements OpenServices {
  readonly #open = new OpenStreams();
  /** Made for the first request: most daemons never get one. */
  #known: Declared | undefined;

  constructor(private readonly reflected: readonly BoundService[]) {}

  endStreams(): void {
    this.#open.endAll();
  }

  /** Both versions, which are alike but for their name. */
  get services(): readonly BoundService[] {
    return [ServerReflection, ServerReflectionAlpha].map((descriptor) => ({
      descriptor,
      isOpen: true,
      methods: [this.#method(descriptor.method.serverReflectionInfo)],
    }));
  }

  #method(descriptor: DescMethodBiDiStreaming): BoundService["methods"][number] {
    return {
      kind: "bidi_streaming",
      descriptor,
      open: (requests, _context, sink) =>
        this.#open.open(sink, (own) => this.#answer(descriptor, requests, own)),
    };
  }

  #answer(
    { output }: DescMethodBiDiStreaming,
    requests: AsyncIterable<Message>,
    sink: MessageSink,
  ): StreamSource {
    const answerTo = (messageRequest: ReflectionRequest): ReflectionResponse =>
      this.#answerTo(messageRequest);
    return pump(async function* () {
      for await (const originalRequest of requests as AsyncIterable<ServerReflectionRequest>) {
        const { host: validHost, messageRequest } = originalRequest;
        const messageResponse = answerTo(messageRequest);
        yield create(output, { validHost, originalRequest, messageResponse } as Record<string, unknown>);
      }
    }, sink);
  }

  #answerTo(request: ReflectionRequest): ReflectionResponse {
    switch (request.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.reflected.map(({ descriptor }) => ({ name: descriptor.typeName })) },
        };
      case "fileByFilename":
        return filesOf(this.#all.files.get(request.value));
      case "fileContainingSymbol":
        return filesOf(this.#fileOfSymbol(request.value));
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        return filesOf(
          this.#extensionsOf(containingType).find(({ number }) => number === extensionNumber)?.file,
        );
      }
      case "allExtensionNumbersOfType":
        return this.#extensionNumbers(request.value);
      default:
        return failure(codes.unimplemented, "the request asks for nothing that is known");
    }
  }

  #extensionNumbers(baseTypeName: string): ReflectionResponse {
    if (this.#all.registry.getMessage(baseTypeName) === undefined) return notFound;
    const extensionNumber = this.#extensionsOf(baseTypeName).map(({ number }) => number);
    return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
  }

  #extensionsOf(typeName: string): DescExtension[] {
    return [...this.#all.registry].filter(
      (one): one is DescExtension => one.kind === "extension" && one.extendee.typeName === typeName,
    );
  }

  /** Of a type or service, or of what is in one: a method, a field, a value. */
  #fileOfSymbol(symbol: string): DescFile | undefined {
    const name = symbol.replace(/^\./, "");
    const found = this.#all.registry.get(name);
    if (found) return found.file;
    const [, parent = "", member] = /^(.*)\.([^.]+)$/.exec(name) ?? [];
    const type = this.#all.registry.get(parent);
    const members: readonly { readonly name: string }[] =
      type?.kind === "service" ? type.methods : type?.kind === "message" ? type.members : [];
    return members.some((one) => one.name === member) ? type?.file : undefined;
  }

  get #all(): Declared {
    if (!this.#known) {
      const files = new Map<string, DescFile>();
      for (const { descriptor } of this.reflected) collect(descriptor.file, files);
      this.#known = { files, registry: createRegistry(...files.values()) };
    }
    return this.#known;
  }
}

function collect(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) collect(dependency, files);
}

/** A file with all that it imports, so that a client need not ask again. */
function filesOf(file: DescFile | undefined): ReflectionResponse {
  if (!file) return notFound;
  const files = new Map<string, DescFile>();
  collect(file, files);
  const fileDescriptorProto = [...files.values()].map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function failure(errorCode: number, errorMessage: string): ReflectionResponse {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}
