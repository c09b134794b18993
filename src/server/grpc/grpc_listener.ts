import type { ServerHttp2Stream } from "node:http2";
import { createServer, type Socket } from "node:net";
import {
  logVerbosity,
  type Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type StatusObject,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import type { Authenticate } from "../../domain/access/presented_credentials.js";
import type { Principal } from "../../model/access/principal.js";
import { ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { toWireError as toServiceError } from "../../service/pipeline/error_table.js";
import { presentedCredentials, unauthenticatedMessage } from "../callers/api_key.js";
import { neverAborted, toWireError } from "../connect/wire_answer.js";
import type { Listener, ListenerPlace, OnUnexpected } from "../listen/listener.js";
import { guardOf, headersRefusal, limitsOf } from "../listen/listener_limits.js";
import { ResetGuard } from "../listen/reset_guard.js";
import { StreamListener } from "../listen/stream_listener.js";
import { UnauthenticatedStreams } from "../listen/unauthenticated_streams.js";
import { streamOfCall } from "../listen/unread_stream.js";
import { peerOfCall } from "../sockets/peer.js";
import { noteCredential } from "../sockets/socket_guard.js";
import { defineService, detailsOf, implementService, wellFormed } from "./grpc_binding.js";
import { GrpcStandardServices, isOpenToAll } from "./grpc_standard_services.js";
import { PlainCalls } from "./grpc_streams.js";
import { offerStreams } from "./taken_streams.js";

export interface GrpcListenerOptions extends ListenerPlace {
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
  /** Statistics that nobody reads, kept for every connection and call. */
  "grpc.enable_channelz": 0,
} as const;

/** Refusals that wait for their caller, at one address. */
const maxRefusals = 512;

/** Of all streams; health and reflection are open to unauthenticated callers, who could hold thousands on each of their connections. */
const unauthenticatedShare = 1 / 50;

function tooManyUnauthenticated(limit: number): ResourceExhausted {
  const what = "calls of callers without a credential";
  return new ResourceExhausted("TOO_MANY_STREAMS", {
    ...{ what, limit, unit: "at a time, a fiftieth of all streams", setting: "NEXUS_MAX_STREAMS" },
  });
}

function optionsOf(limits: Limits) {
  const { idleTimeoutMs } = limits;
  return {
    ...serverOptions,
    "grpc.max_receive_message_length": limits.maxMessageBytes,
    "grpc.max_concurrent_streams": limits.maxStreamsPerConnection,
    ...(idleTimeoutMs === undefined ? {} : { "grpc.max_connection_idle_ms": idleTimeoutMs }),
  };
}

/** One address with its own server: who a caller is depends on the address it came by. */
interface Post {
  readonly listener: StreamListener;
  readonly server: Server;
}

/** gRPC for agents, on any number of Unix sockets and TCP ports. */
export class GrpcListener implements Listener {
  readonly #posts: readonly Post[];
  readonly #standard: GrpcStandardServices;
  readonly #options: GrpcListenerOptions;
  /** Open calls of callers who are nobody. */
  #unauthenticated = 0;

  constructor(options: GrpcListenerOptions) {
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
    const { bounds } = this.#options;
    const limits = limitsOf(bounds);
    const resets = new ResetGuard();
    const refusals = new UnauthenticatedStreams(maxRefusals, bounds?.clock);
    const interceptors = [this.#admit(address, callers, limits, resets, refusals)];
    const server = new Server({ ...optionsOf(limits), interceptors });
    const patience = bounds && { clock: bounds.clock, timeoutMs: limits.streamReadTimeoutMs };
    const principalOf = (metadata: Metadata): Principal => {
      const principal = callers.get(metadata);
      if (!principal) throw new Error("a call without a principal got past the interceptor");
      return principal;
    };
    for (const service of services) {
      // grpc-js throws on a service without methods; the answer to its methods is UNIMPLEMENTED either way.
      if (service.methods.length === 0) continue;
      server.addService(
        defineService(service),
        implementService(service, { principalOf, onUnexpected, patience }),
      );
    }
    this.#standard.addTo(server);
    // Sockets are accepted here and handed over, so that backlog, mode, peers and the end are the same at every listener.
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const plain = new PlainCalls({
      services,
      address,
      authenticate: this.#options.authenticate,
      limits,
      clock: bounds?.clock,
      resets,
      unauthenticated: refusals,
      onUnexpected,
    });
    offerStreams(server, (stream, headers) => plain.take(stream, headers));
    const accept = (socket: Socket): void => injector.injectConnection(socket);
    const tls = address.kind === "tcp" ? this.#options.tls : undefined;
    const sockets = tls?.createServer(["h2"], accept) ?? createServer(accept);
    const guard = guardOf(bounds, "grpc");
    const { setting, sockets: access } = this.#options;
    return { server, listener: new StreamListener(sockets, address, "grpc", setting, access, guard) };
  }

  /** What a caller is told whose credentials could not be verified just now. */
  #refusal(error: unknown, path: string): Pick<StatusObject, "code" | "details"> & Partial<StatusObject> {
    const wire = toWireError(toServiceError(error), neverAborted, path.slice(1), this.#options.onUnexpected);
    return { code: wire.code as number, details: wellFormed(wire.message), metadata: detailsOf(wire) };
  }

  #countUnauthenticated(stream: ServerHttp2Stream | undefined): void {
    if (!stream || stream.closed) return;
    this.#unauthenticated++;
    stream.once("close", () => this.#unauthenticated--);
  }

  /** Refuses a caller before anything of its message is read. */
  #admit(
    address: ListenAddress,
    callers: WeakMap<Metadata, Principal>,
    limits: Limits,
    resets: ResetGuard,
    refusals: UnauthenticatedStreams,
  ): ServerInterceptor {
    const field = (metadata: Metadata, name: string): string | undefined => metadata.get(name)[0]?.toString();
    const maxUnauthenticated = Math.max(1, Math.floor(limits.maxStreams * unauthenticatedShare));
    return (method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => {
              const stream = streamOfCall(call);
              if (stream) resets.watch(stream);
              const refuse = (error: unknown): void => {
                if (!stream || refusals.take(stream)) call.sendStatus(this.#refusal(error, method.path));
              };
              const tooLarge = headersRefusal(metadata.toHttp2Headers(), limits);
              if (tooLarge) {
                refuse(tooLarge);
                return;
              }
              const shown = presentedCredentials(
                address,
                field(metadata, "authorization"),
                field(metadata, "x-api-key"),
                call.getPeer(),
                peerOfCall(call),
              );
              const admit = (principal: Principal | undefined): void => {
                if (principal) {
                  callers.set(metadata, principal);
                  if (stream?.session && !stream.session.destroyed) noteCredential(stream.session.socket);
                } else if (!isOpenToAll(method.path)) {
                  if (stream && !refusals.take(stream)) return;
                  call.sendStatus({ code: status.UNAUTHENTICATED, details: unauthenticatedMessage });
                  return;
                } else if (this.#unauthenticated >= maxUnauthenticated) {
                  refuse(tooManyUnauthenticated(maxUnauthenticated));
                  return;
                } else this.#countUnauthenticated(stream);
                pass(metadata);
              };
              try {
                const principal = this.#options.authenticate(shown);
                if (principal instanceof Promise) principal.then(admit).catch(refuse);
                else admit(principal);
              } catch (error) {
                refuse(error);
              }
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
