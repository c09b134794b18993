import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type ConnectionStatus, connectionStatuses } from "../model/connections/connection.js";
import { type SpoolOutcome, spoolOutcomes } from "../model/connections/spooled_token_set.js";

/** Stands for every value beyond the bound. */
const otherValue = "other";

/** Keeps the number of distinct values of a label bounded: the first `maxValues` are kept, later ones become `other`. */
export class LabelValues {
  readonly #seen: Set<string>;

  constructor(
    private readonly maxValues: number,
    known: Iterable<string> = [],
  ) {
    this.#seen = new Set(known);
  }

  bound(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= this.maxValues) return otherValue;
    this.#seen.add(value);
    return value;
  }
}

export interface RpcOutcome {
  /** `<package>.<service>/<method>`; at most 100 are distinguished. */
  readonly method: string;
  /** Name of the gRPC status code, lower case with underscores: `ok`, `not_found`. */
  readonly code: string;
  readonly listener: string;
}

/** What the daemon reads each time the metrics are, and what each says. Reading them must be quick. */
const gauges = {
  nexus_watch_subscribers: "Open WatchTokens streams.",
  nexus_refresh_queue_lag_seconds: "How long the oldest due refresh has been waiting; 0 when none is due.",
  nexus_refreshes_running: "Refreshes under way, their request to the provider included.",
  nexus_refreshes_waiting: "Refreshes that wait for a place at their provider.",
  nexus_providers_suspended: "Provider profiles whose client the provider refuses.",
  nexus_unwritten_token_sets: "Token sets that came from a provider and are not on disk yet.",
  nexus_tls_certificate_expiry_timestamp_seconds:
    "When the certificate of the listeners expires, in Unix time; absent without TLS.",
  nexus_time_seconds: "The time of the daemon's clock, in Unix time; it decides when a token is due.",
} as const;

/** From a provider in the same network to one that is about to time out. */
const durationBucketsSeconds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** From a flush to a fast disk to one that is about to be given up. */
const commitBucketsSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10];

/** 0 holds those that died before they were replaced; the usual window is 5 minutes. */
const timeToExpiryBucketsSeconds = [0, 1, 5, 15, 30, 60, 120, 240, 300, 600, 3600];

/** The lines of what prom-client derives from a histogram of the event loop's lag. */
const lagStatistics =
  /^(?:# (?:HELP|TYPE) )?nodejs_eventloop_lag_(?:min|max|mean|stddev|p\d+)_seconds .*\n/gm;

/** Gauges that prom-client names as only counters may be named (`_total`); each is the sum of its namesake without the suffix. */
const misnamed = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/** The numbers of one daemon, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  #measuresProcess = false;
  readonly #methods = new LabelValues(100);
  readonly #codes = new LabelValues(20);
  readonly #providers = new LabelValues(200);
  readonly #reasons = new LabelValues(50);
  readonly #rpcs: Counter<"method" | "code" | "listener">;
  readonly #refreshes: Counter<"provider" | "result" | "reason">;
  readonly #refreshDuration: Histogram;
  readonly #timeToExpiry: Histogram;
  readonly #commitDuration: Histogram;
  /** Counts a token set that the last process could not store. */
  readonly spooled: (outcome: SpoolOutcome) => void;

  constructor(build: { readonly version: string }) {
    const registers = [this.#registry];
    this.#rpcs = new Counter({
      name: "nexus_rpc_requests_total",
      help: "RPCs answered, streams counted when they end.",
      labelNames: ["method", "code", "listener"],
      registers,
    });
    this.#refreshes = new Counter({
      name: "nexus_refresh_total",
      help: "Refresh grants, by result.",
      labelNames: ["provider", "result", "reason"],
      registers,
    });
    this.#refreshDuration = new Histogram({
      name: "nexus_refresh_duration_seconds",
      help: "Time from the sending of a refresh request to the durable token.",
      buckets: durationBucketsSeconds,
      registers,
    });
    this.#timeToExpiry = new Histogram({
      name: "nexus_token_time_to_expiry_seconds",
      help: "How long tokens had still to live when a refresh replaced them; 0 for a dead one.",
      buckets: timeToExpiryBucketsSeconds,
      registers,
    });
    this.#commitDuration = new Histogram({
      name: "nexus_store_commit_duration_seconds",
      help: "Time from asking for a commit to the store to its being durable.",
      buckets: commitBucketsSeconds,
      registers,
    });
    this.spooled = this.addOutcomes(
      "nexus_spooled_token_sets_total",
      "Token sets found in the spool file at start, by outcome.",
      spoolOutcomes,
    );
    new Gauge({
      name: "nexus_build_info",
      help: "Always 1; the labels say what runs.",
      labelNames: ["version", "node_version"],
      registers,
    }).set({ version: build.version, node_version: process.versions.node }, 1);
  }

  /** Adds the gauges of the daemon. One without a value is absent. */
  observe(
    countByStatus: () => Readonly<Record<ConnectionStatus, number>>,
    read: Readonly<Record<keyof typeof gauges, () => number | undefined>>,
  ): void {
    const connections = new Gauge({
      name: "nexus_connections",
      help: "Connections in the store, by status.",
      labelNames: ["status"],
      registers: [this.#registry],
      collect: () => {
        const counts = countByStatus();
        for (const status of connectionStatuses) connections.set({ status }, counts[status]);
      },
    });
    for (const name of Object.keys(gauges) as (keyof typeof gauges)[])
      this.addGauge(name, gauges[name], read[name]);
  }

  addCounter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): (labels: Record<Label, string>) => void {
    const counter = new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
    return (labels) => counter.inc(labels);
  }

  /** Adds a gauge, which is read each time the metrics are, and is absent without a value. */
  addGauge(name: string, help: string, read: () => number | undefined): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect: () => {
        const value = read();
        if (value === undefined) gauge.remove();
        else gauge.set(value);
      },
    });
  }

  /** Adds a counter by outcome, each of which begins at 0. @returns counts one */
  addOutcomes<T extends string>(name: string, help: string, outcomes: readonly T[]): (outcome: T) => void {
    const counter = new Counter({ name, help, labelNames: ["outcome"], registers: [this.#registry] });
    for (const outcome of outcomes) counter.inc({ outcome }, 0);
    return (outcome) => counter.inc({ outcome });
  }

  rpcAnswered({ method, code, listener }: RpcOutcome): void {
    this.#rpcs.inc({ method: this.#methods.bound(method), code: this.#codes.bound(code), listener });
  }

  /**
   * Counts a refresh grant.
   *
   * @param provider name of the provider profile; at most 200 are distinguished
   * @param reason a stable word, empty for a success; at most 50 are distinguished
   * @param durationMs from the sending of the request to the commit
   */
  refreshed(provider: string, result: "success" | "failure", reason: string, durationMs: number): void {
    this.#refreshes.inc({
      provider: this.#providers.bound(provider),
      result,
      reason: this.#reasons.bound(reason),
    });
    this.#refreshDuration.observe(durationMs / 1000);
  }

  /** Counts a token that a refresh replaced. @param remainingMs how long it had still to live; below 0 when it was dead */
  replaced(remainingMs: number): void {
    this.#timeToExpiry.observe(Math.max(0, remainingMs) / 1000);
  }

  /** Counts a commit. @param durationMs from its being asked for until it was durable */
  committed(durationMs: number): void {
    this.#commitDuration.observe(durationMs / 1000);
  }

  /**
   * The text format of Prometheus. From the first call on the process itself is measured too, which wakes it up every 10 ms: a daemon whose
   * metrics nothing reads sleeps. So the first answer has no statistics of the event loop's lag yet.
   */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    const isFirst = !this.#measuresProcess;
    if (isFirst) {
      collectDefaultMetrics({ register: this.#registry });
      for (const name of misnamed) this.#registry.removeSingleMetric(name);
    }
    this.#measuresProcess = true;
    const body = await this.#registry.metrics();
    return {
      contentType: this.#registry.contentType,
      body: isFirst ? body.replace(lagStatistics, "") : body,
    };
  }
}
