import { Counter, Gauge, type Registry } from "prom-client";

/** Of a hub; read each time the metrics are. */
export interface FleetSources {
  isLeader(): boolean;
  /** Position in the log that the copy has. */
  applied(): bigint;
  /** How far the copy is behind the leader, in batches, as this hub has heard. */
  behind(): bigint;
  /** Since the database answered last. */
  silentMs(): number;
  /** Audit events that wait for the leader. */
  outbox(): number;
  /** Hubs seen in the last 30 seconds. */
  members(): number;
  /** Whether nothing is in the way of leading. */
  mayLead(): boolean;
  /** Whether it gave the lead back by itself a short while ago. */
  isBackingOff(): boolean;
  /** Whether a commit waits for a standby of the database. */
  waitsForStandby(): boolean;
  /** For how long a commit has waited for a standby that does not answer. */
  standbyWaitMs(): number;
}

function fleetGauges(sources: FleetSources): readonly (readonly [string, string, () => number])[] {
  return [
    ["nexus_fleet_leader", "1 at the hub that leads, 0 at the others.", () => (sources.isLeader() ? 1 : 0)],
    [
      "nexus_fleet_applied_position",
      "Position in the log that this hub's copy has.",
      () => Number(sources.applied()),
    ],
    [
      "nexus_fleet_behind_batches",
      "How far this hub's copy is behind the leader's.",
      () => Number(sources.behind()),
    ],
    [
      "nexus_fleet_silence_seconds",
      "Since the database last answered this hub.",
      () => sources.silentMs() / 1000,
    ],
    ["nexus_fleet_outbox_events", "Audit events that wait in this hub's outbox.", () => sources.outbox()],
    ["nexus_fleet_members", "Hubs that were seen in the last 30 seconds.", () => sources.members()],
    [
      "nexus_fleet_may_lead",
      "1 where nothing is in the way of leading: the clock, a key of the ring, the database.",
      () => Number(sources.mayLead()),
    ],
    [
      "nexus_fleet_stands_back",
      "1 for five minutes after this hub gave the lead back by itself: it reached no provider, or its disk took no writes.",
      () => Number(sources.isBackingOff()),
    ],
    [
      "nexus_fleet_waits_for_standby",
      "1 where a commit waits for a standby of the database, 0 where a failover may lose some.",
      () => Number(sources.waitsForStandby()),
    ],
    [
      "nexus_fleet_standby_wait_seconds",
      "For how long commits have waited for a standby that does not answer; 0 while they go on.",
      () => sources.standbyWaitMs() / 1000,
    ],
  ];
}

/** How a request for the leader ended: `unreachable`, nothing was sent; `lost`, it may have been acted on. */
export type ForwardOutcome = "ok" | "unreachable" | "lost";

/** The numbers of a hub. */
export class FleetMetrics {
  readonly #forwards: Counter<"outcome">;

  constructor(registry: Registry, sources: FleetSources) {
    const registers = [registry];
    this.#forwards = new Counter({
      name: "nexus_fleet_forwards_total",
      help: "Requests for the hub that leads, by outcome: ok, unreachable (nothing was sent), lost (it may have been acted on).",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of ["ok", "unreachable", "lost"]) this.#forwards.inc({ outcome }, 0);
    for (const [name, help, read] of fleetGauges(sources)) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    }
  }

  forwarded(outcome: ForwardOutcome): void {
    this.#forwards.inc({ outcome });
  }
}
