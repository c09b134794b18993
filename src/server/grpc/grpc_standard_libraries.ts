import { createRequire } from "node:module";
import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server, ServiceDefinition, UntypedHandleCall } from "@grpc/grpc-js";
import type { ReflectionService } from "@grpc/reflection";
import type { HealthImplementation } from "grpc-health-check";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { encode } from "../connect/wire_answer.js";

export const healthName = "grpc.health.v1.Health";

type Descriptors = ConstructorParameters<typeof ReflectionService>[0];
type File = BoundService["descriptor"]["file"];

/** One method as its library defines and answers it. */
export interface StandardMethod {
  readonly definition: ServiceDefinition[string];
  readonly handler: UntypedHandleCall;
}

export interface StandardLibraries {
  readonly health: HealthImplementation;
  /** By path: `/grpc.health.v1.Health/Check`. */
  readonly methods: ReadonlyMap<string, StandardMethod>;
}

const load = createRequire(import.meta.url);

/** Loads what answers health and reflection: 100 ms and 10 MB that a daemon is spared whom nobody asks for either. */
export function openStandardLibraries(services: readonly BoundService[]): StandardLibraries {
  const { HealthImplementation, service } = load("grpc-health-check") as typeof import("grpc-health-check");
  const { ReflectionService } = load("@grpc/reflection") as typeof import("@grpc/reflection");
  const health = new HealthImplementation();
  const names = services.map(({ descriptor }) => descriptor.typeName);
  const reflection = new ReflectionService(descriptorsOf(services, service), {
    services: [...names, healthName],
  });
  const methods = new Map<string, StandardMethod>();
  const collect: Pick<Server, "addService"> = {
    addService: (definitions, handlers) => {
      for (const [name, definition] of Object.entries(definitions)) {
        const handler = handlers[name] ?? handlers[definition.originalName ?? ""];
        if (handler) methods.set(definition.path, { definition, handler });
      }
    },
  };
  health.addToServer(collect as Server);
  reflection.addToServer(collect as Server);
  return { health, methods };
}

/** The files of the services with all that they import, in the shape that the reflection library reads them from. */
function descriptorsOf(services: readonly BoundService[], healthService: object): Descriptors {
  const files = new Set<File>();
  const collect = (file: File): void => {
    if (files.has(file)) return;
    files.add(file);
    file.dependencies.forEach(collect);
  };
  for (const { descriptor } of services) collect(descriptor.file);
  const fileDescriptorProtos = [...files].map((file) =>
    encode(toBinary(FileDescriptorProtoSchema, file.proto)),
  );
  const bound = { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos } as const;
  const health = Object.entries(healthService).map(([name, method]) => [name, method.requestType] as const);
  return { nexus: bound, ...Object.fromEntries(health) };
}
