import { Counter, Gauge, type Registry } from "prom-client";

/** Of a spoke; read each time the metrics are. */
export interface SpokeSources {
  isConnected(): boolean;
  /** Since a hub was last heard; undefined when none ever was. */
  ageMs(): number | undefined;
}

const outcomes = ["ok", "unreachable", "lost"] as const;

/** The numbers of a spoke. */
export class SpokeMetrics {
  readonly #forwards: Counter<"outcome">;

  constructor(registry: Registry, sources: SpokeSources) {
    const registers = [registry];
    this.#forwards = new Counter({
      name: "nexus_spoke_forwards_total",
      help: "Requests for a hub, by outcome: ok (it answered), unreachable (nothing was sent), lost (it may have been acted on).",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of outcomes) this.#forwards.inc({ outcome }, 0);
    new Gauge({
      name: "nexus_spoke_connected",
      help: "1 while a hub tells this spoke what changes.",
      registers,
      collect() {
        this.set(sources.isConnected() ? 1 : 0);
      },
    });
    new Gauge({
      name: "nexus_spoke_copy_age_seconds",
      help: "Since a hub was last heard; no value where none ever was.",
      registers,
      collect() {
        const ageMs = sources.ageMs();
        if (ageMs !== undefined) this.set(ageMs / 1_000);
      },
    });
  }

  forwarded(outcome: (typeof outcomes)[number]): void {
    this.#forwards.inc({ outcome });
  }
}
