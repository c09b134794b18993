import { toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import {
  type Server,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, service as healthService } from "grpc-health-check";
import type { BoundService } from "../service/bound_service.js";
import { encode } from "./wire_answer.js";

/** The services that say nothing of anyone's secrets and are answered without a key. */
export function isOpenToAll(path: string): boolean {
  return path.startsWith("/grpc.health.v1.Health/") || path.startsWith("/grpc.reflection.");
}

const healthName = "grpc.health.v1.Health";

type Descriptors = ConstructorParameters<typeof ReflectionService>[0];
type File = BoundService["descriptor"]["file"];

/** A call of one of the standard services that stays open as long as its caller likes. */
interface OpenCall {
  end(): void;
  once(event: "cancelled", listener: () => void): void;
}

interface HealthCall {
  readonly request: { readonly service: string };
  write(message: { readonly status: string }): unknown;
}

type Callable = (...values: unknown[]) => unknown;

/** `grpc.health.v1.Health` and server reflection (v1 and v1alpha) for the servers of one door. */
export class GrpcStandardServices {
  readonly #health = new HealthImplementation();
  readonly #reflection: ReflectionService;
  readonly #names: readonly string[];
  readonly #open = new Set<OpenCall>();

  constructor(services: readonly BoundService[]) {
    const names = services.map(({ descriptor }) => descriptor.typeName);
    this.#names = ["", ...names];
    this.#reflection = new ReflectionService(descriptorsOf(services), { services: [...names, healthName] });
    this.setServing(true);
  }

  setServing(serving: boolean): void {
    for (const name of this.#names) this.#health.setStatus(name, serving ? "SERVING" : "NOT_SERVING");
  }

  addTo(server: Server): void {
    const tracking = {
      addService: (definition: Parameters<Server["addService"]>[0], handlers: UntypedServiceImplementation) =>
        server.addService(definition, this.#trackStreams(handlers)),
    };
    this.#health.addToServer({
      addService: (definition, handlers) => tracking.addService(definition, this.#onlyKnown(handlers)),
    });
    this.#reflection.addToServer(tracking);
  }

  /** Ends every health watch and reflection stream: neither library does, and a drain would wait for them in vain. */
  endStreams(): void {
    for (const call of this.#open) call.end();
  }

  /**
   * Answers itself for names of services that are none. Anybody may ask, and the library repeats the name in a trailer, where 1 MiB of it
   * leaves the call without an end, and remembers the name of each watch for ever.
   */
  #onlyKnown(handlers: UntypedServiceImplementation): UntypedServiceImplementation {
    const isKnown = ({ request }: HealthCall): boolean => this.#names.includes(request.service);
    const { check, watch, ...others } = handlers as Readonly<Record<string, UntypedHandleCall>>;
    return {
      ...others,
      check: ((call: HealthCall, callback: (error: object) => void) => {
        if (isKnown(call)) Reflect.apply(check as Callable, undefined, [call, callback]);
        else callback({ code: status.NOT_FOUND, details: "there is no such service" });
      }) as unknown as UntypedHandleCall,
      watch: ((call: HealthCall) => {
        if (isKnown(call)) Reflect.apply(watch as Callable, undefined, [call]);
        else call.write({ status: "SERVICE_UNKNOWN" });
      }) as unknown as UntypedHandleCall,
    };
  }

  #trackStreams(handlers: UntypedServiceImplementation): UntypedServiceImplementation {
    const track = (call: OpenCall): void => {
      if (!("write" in call)) return;
      this.#open.add(call);
      call.once("cancelled", () => this.#open.delete(call));
    };
    return Object.fromEntries(
      Object.entries(handlers).map(([name, handler]) => [name, observed(handler, track)]),
    );
  }
}

function observed(handler: UntypedHandleCall, track: (call: OpenCall) => void): UntypedHandleCall {
  const handle = (call: OpenCall, ...callback: unknown[]): void => {
    track(call);
    Reflect.apply(handler, undefined, [call, ...callback]);
  };
  return handle as UntypedHandleCall;
}

/** The files of the services with all that they import, in the shape that the reflection library reads them from. */
function descriptorsOf(services: readonly BoundService[]): Descriptors {
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
