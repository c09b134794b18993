import { createServer, type Socket } from "node:net";
import {
  logVerbosity,
  type Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import type { ListenAddress } from "../model/listen_address.js";
import type { Principal } from "../model/principal.js";
import type { BoundService } from "../service/bound_service.js";
import { toWireError as toServiceError } from "../service/error_table.js";
import { shownCredentials, unauthenticatedMessage } from "./api_key.js";
import type { Door, DoorPlace, OnUnexpected } from "./door.js";
import { defineService, implementService } from "./grpc_binding.js";
import { GrpcStandardServices, isOpenToAll } from "./grpc_standard_services.js";
import { Listener } from "./listener.js";
import { peerOfCall } from "./peer.js";
import type { Authenticate } from "./shown_credentials.js";
import { neverAborted, toWireError } from "./wire_answer.js";

export interface GrpcDoorOptions extends DoorPlace {
  /** At least one. */
  readonly listen: readonly ListenAddress[];
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly onUnexpected: OnUnexpected;
}

/**
 * Options of every server. A client that vanished is noticed after 30 s of silence and 10 s without an answer to a
 * ping. Pings of clients, with or without calls, are answered at any rate: grpc-js counts no strikes.
 */
const serverOptions = {
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  /** 1 MiB: the largest request is an import of a credential, a few KiB. */
  "grpc.max_receive_message_length": 1_048_576,
} as const;

/** One address with its own server: who a caller is depends on the address it came by. */
interface Post {
  readonly listener: Listener;
  readonly server: Server;
}

/** gRPC for agents, on any number of Unix sockets and TCP ports. */
export class GrpcDoor implements Door {
  readonly #posts: readonly Post[];
  readonly #standard: GrpcStandardServices;
  readonly #options: GrpcDoorOptions;

  constructor(options: GrpcDoorOptions) {
    // It would write to stderr, invalid header fields of a request with their values among it.
    setLogVerbosity(logVerbosity.NONE);
    this.#options = options;
    this.#standard = new GrpcStandardServices(options.services);
    this.#posts = options.listen.map((address) => this.#post(address));
  }

  get addresses(): readonly ListenAddress[] {
    return this.#posts.flatMap(({ listener }) => listener.bound ?? []);
  }

  async open(): Promise<void> {
    try {
      for (const { listener } of this.#posts) await listener.open();
    } catch (error) {
      await this.close(AbortSignal.abort());
      throw error;
    }
  }

  /** What the health service says of the daemon and of each of its services. SERVING from the start. */
  setServing(serving: boolean): void {
    this.#standard.setServing(serving);
  }

  async close(force: AbortSignal): Promise<void> {
    this.setServing(false);
    this.#standard.endStreams();
    await Promise.all(this.#posts.map((post) => closePost(post, force)));
  }

  #post(address: ListenAddress): Post {
    const { services, onUnexpected } = this.#options;
    const callers = new WeakMap<Metadata, Principal>();
    const server = new Server({ ...serverOptions, interceptors: [this.#admit(address, callers)] });
    const principalOf = (metadata: Metadata): Principal => {
      const principal = callers.get(metadata);
      if (!principal) throw new Error("a call without a principal got past the interceptor");
      return principal;
    };
    for (const service of services) {
      // grpc-js throws on a service without methods; the answer to its methods is UNIMPLEMENTED either way.
      if (service.methods.length === 0) continue;
      server.addService(defineService(service), implementService(service, { principalOf, onUnexpected }));
    }
    this.#standard.addTo(server);
    // Sockets are accepted here and handed over, so that backlog, mode, peers and the end are the same at every door.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const accept = (socket: Socket): void => injector.injectConnection(socket);
    const tls = address.kind === "tcp" ? this.#options.tls : undefined;
    const sockets = tls?.createServer(["h2"], accept) ?? createServer(accept);
    return {
      server,
      listener: new Listener(sockets, address, "grpc", this.#options.setting, this.#options.sockets),
    };
  }

  /** What a caller is told whose credentials could not be verified just now. */
  #refusal(error: unknown, path: string): { code: status; details: string } {
    const wire = toWireError(toServiceError(error), neverAborted, path.slice(1), this.#options.onUnexpected);
    return { code: wire.code as number, details: wire.message };
  }

  /** Refuses a caller before anything of its message is read. */
  #admit(address: ListenAddress, callers: WeakMap<Metadata, Principal>): ServerInterceptor {
    const field = (metadata: Metadata, name: string): string | undefined => metadata.get(name)[0]?.toString();
    return (method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => {
              const shown = shownCredentials(
                address,
                field(metadata, "authorization"),
                field(metadata, "x-api-key"),
                call.getPeer(),
                peerOfCall(call),
              );
              const admit = (principal: Principal | undefined): void => {
                if (principal) callers.set(metadata, principal);
                else if (!isOpenToAll(method.path)) {
                  call.sendStatus({ code: status.UNAUTHENTICATED, details: unauthenticatedMessage });
                  return;
                }
                pass(metadata);
              };
              const principal = this.#options.authenticate(shown);
              if (!(principal instanceof Promise)) admit(principal);
              else
                principal
                  .then(admit)
                  .catch((error: unknown) => call.sendStatus(this.#refusal(error, method.path)));
            },
          }),
      });
  }
}

async function closePost({ listener, server }: Post, force: AbortSignal): Promise<void> {
  const cut = (): void => server.forceShutdown();
  if (force.aborted) cut();
  else force.addEventListener("abort", cut, { once: true });
  const gone = listener.close(force);
  // Sends GOAWAY on every connection; each closes after its last call.
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  await gone;
  force.removeEventListener("abort", cut);
}
