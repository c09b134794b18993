import {
  type MethodDefinition,
  type Server,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import {
  healthName,
  openStandardLibraries,
  type StandardLibraries,
  type StandardMethod,
} from "./grpc_standard_libraries.js";

/** The services that say nothing of anyone's secrets and are answered without a key. */
export function isOpenToAll(path: string): boolean {
  return path.startsWith("/grpc.health.v1.Health/") || path.startsWith("/grpc.reflection.");
}

/** What stands in the contracts of both, which are frozen; so that a server can offer them before their libraries are loaded. */
const methods = [
  { service: healthName, name: "Check", requestStream: false, responseStream: false },
  { service: healthName, name: "List", requestStream: false, responseStream: false },
  { service: healthName, name: "Watch", requestStream: false, responseStream: true },
  ...["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"].map((service) => ({
    ...{ service, name: "ServerReflectionInfo", requestStream: true, responseStream: true },
  })),
] as const;

/** A call of one of the standard services that stays open as long as its caller likes. */
interface OpenCall {
  end(): void;
  once(event: "cancelled", listener: () => void): void;
}

interface HealthCall {
  readonly request: { readonly service: string };
  write(message: { readonly status: string }): unknown;
}

type Answer = (error: object) => void;

/** `grpc.health.v1.Health` and server reflection (v1 and v1alpha) for the servers of one listener. */
export class GrpcStandardServices {
  readonly #services: readonly BoundService[];
  readonly #names: readonly string[];
  readonly #open = new Set<OpenCall>();
  #serving = true;
  #libraries: StandardLibraries | undefined;

  constructor(services: readonly BoundService[]) {
    this.#services = services;
    this.#names = ["", ...services.map(({ descriptor }) => descriptor.typeName)];
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    if (this.#libraries) this.#showServing(this.#libraries);
  }

  addTo(server: Server): void {
    for (const { service, name, ...kind } of methods) {
      const path = `/${service}/${name}`;
      const definition: MethodDefinition<unknown, unknown> = {
        ...{ path, ...kind },
        requestSerialize: (value) => this.#method(path).definition.requestSerialize(value),
        requestDeserialize: (bytes) => this.#method(path).definition.requestDeserialize(bytes),
        responseSerialize: (value) => this.#method(path).definition.responseSerialize(value),
        responseDeserialize: (bytes) => this.#method(path).definition.responseDeserialize(bytes),
      };
      const handlers: UntypedServiceImplementation = { [name]: this.#handlerOf(path) };
      server.addService({ [name]: definition }, handlers);
    }
  }

  /** Ends every health watch and reflection stream: neither library does, and a drain would wait for them in vain. */
  endStreams(): void {
    for (const call of this.#open) call.end();
  }

  #method(path: string): StandardMethod {
    if (!this.#libraries) {
      this.#libraries = openStandardLibraries(this.#services);
      this.#showServing(this.#libraries);
    }
    const method = this.#libraries.methods.get(path);
    if (!method) throw new Error(`no library answers ${path}`);
    return method;
  }

  #showServing({ health }: StandardLibraries): void {
    for (const name of this.#names) health.setStatus(name, this.#serving ? "SERVING" : "NOT_SERVING");
  }

  /**
   * Answers itself for names of services that are none. Anybody may ask, and the library repeats the name in a trailer, where 1 MiB of it
   * leaves the call without an end, and remembers the name of each watch for ever.
   */
  #handlerOf(path: string): UntypedHandleCall {
    const isKnown = ({ request }: HealthCall): boolean => this.#names.includes(request.service);
    const handle = (call: OpenCall & HealthCall, answer?: Answer): void => {
      this.#track(call);
      if (path === `/${healthName}/Check` && !isKnown(call)) {
        answer?.({ code: status.NOT_FOUND, details: "there is no such service" });
      } else if (path === `/${healthName}/Watch` && !isKnown(call)) {
        call.write({ status: "SERVICE_UNKNOWN" });
      } else {
        Reflect.apply(this.#method(path).handler, undefined, [call, answer]);
      }
    };
    return handle as unknown as UntypedHandleCall;
  }

  #track(call: OpenCall): void {
    if (!("write" in call)) return;
    this.#open.add(call);
    call.once("cancelled", () => this.#open.delete(call));
  }
}
