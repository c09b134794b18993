import type { BoundService } from "../../service/pipeline/bound_service.js";
import { HealthService } from "./health.js";
import { ReflectionService } from "./reflection.js";

/** What every listener of calls serves beside the contract: `grpc.health.v1.Health` and server reflection, v1 and v1alpha. */
export class StandardServices {
  readonly #health: HealthService;
  readonly #reflection: ReflectionService;
  readonly services: readonly BoundService[];

  constructor(services: readonly BoundService[]) {
    this.#health = new HealthService(services.map(({ descriptor }) => descriptor.typeName));
    const health = this.#health.bind();
    this.#reflection = new ReflectionService([...services, health]);
    this.services = [health, ...this.#reflection.bind()];
  }

  /** What health says of the daemon and of each of its services. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /** Says NOT_SERVING, and ends the streams of both. */
  close(): void {
    this.#health.setServing(false);
    this.#health.endStreams();
    this.#reflection.endStreams();
  }
}
