import type { BoundService } from "../../service/pipeline/bound_service.js";
import { HealthService } from "./health.js";

/** Services that ask for no credential. */
export interface OpenServices {
  readonly services: readonly BoundService[];
  /** A drain would wait in vain for streams that stay open as long as their callers like. */
  endStreams(): void;
}

/** @param services all others of a listener */
export type MakeOpenServices = (services: readonly BoundService[]) => OpenServices;

/** What every listener of calls serves beside the contract: `grpc.health.v1.Health`, and what extensions add. */
export class StandardServices {
  readonly #health: HealthService;
  readonly #others: readonly OpenServices[];
  readonly services: readonly BoundService[];

  constructor(services: readonly BoundService[], others: readonly MakeOpenServices[]) {
    this.#health = new HealthService(services.map(({ descriptor }) => descriptor.typeName));
    this.#others = others.map((make) => make([...services, ...this.#health.services]));
    this.services = [this.#health, ...this.#others].flatMap((each) => each.services);
  }

  /** What health says of the daemon and of each of its services. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /** Says NOT_SERVING, and ends the streams of all. */
  close(): void {
    this.#health.setServing(false);
    for (const each of [this.#health, ...this.#others]) each.endStreams();
  }
}
