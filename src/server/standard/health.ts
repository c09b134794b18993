import { create, type Message } from "@bufbuild/protobuf";
import {
  Health,
  type HealthCheckRequest,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import type { StreamSource } from "../../runtime/stream_sink.js";
import type { BoundService, MessageSink } from "../../service/pipeline/bound_service.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { OpenStreams } from "./open_streams.js";

/** `grpc.health.v1.Health`: of the daemon, whose name is empty, and of each of its services. SERVING from the start. */
export class HealthService {
  readonly #names: readonly string[];
  readonly #open = new OpenStreams();
  readonly #watches = new Set<MessageSink>();
  #status = ServingStatus.SERVING;

  /** @param services names of those that share the daemon's status */
  constructor(services: readonly string[]) {
    this.#names = ["", ...services];
  }

  setServing(serving: boolean): void {
    this.#status = serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    for (const sink of this.#watches) sink.send(answerOf(this.#status));
  }

  endStreams(): void {
    this.#open.endAll();
  }

  get services(): readonly [BoundService] {
    const { check, list, watch } = Health.method;
    const health: BoundService = {
      descriptor: Health,
      isOpen: true,
      methods: [
        { kind: "unary", descriptor: check, call: (request) => this.#check(request as HealthCheckRequest) },
        { kind: "unary", descriptor: list, call: () => this.#list() },
        {
          kind: "server_streaming",
          descriptor: watch,
          open: (request, _context, sink) => this.#watch((request as HealthCheckRequest).service, sink),
        },
      ],
    };
    return [health];
  }

  /** @throws WireError NOT_FOUND */
  #check({ service }: HealthCheckRequest): Message {
    if (!this.#names.includes(service)) throw new WireError(codes.not_found, "there is no such service");
    return answerOf(this.#status);
  }

  #list(): Message {
    const statuses = Object.fromEntries(this.#names.map((name) => [name, answerOf(this.#status)]));
    return create(HealthListResponseSchema, { statuses });
  }

  /** A service that is not there stays so, for none comes later: nothing is remembered of its name. */
  #watch(service: string, sink: MessageSink): StreamSource {
    const isKnown = this.#names.includes(service);
    return this.#open.open(sink, (own) => {
      if (isKnown) this.#watches.add(own);
      own.send(answerOf(isKnown ? this.#status : ServingStatus.SERVICE_UNKNOWN));
      return { resume: () => undefined, cancel: () => this.#watches.delete(own) };
    });
  }
}

function answerOf(status: ServingStatus): HealthCheckResponse {
  return create(HealthCheckResponseSchema, { status });
}
