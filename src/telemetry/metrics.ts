import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { type ConnectionStatus, connectionStatuses } from "../model/connection.js";
import { LabelValues } from "./label_values.js";

export interface RpcOutcome {
  /** `<package>.<service>/<method>`; at most 100 are told apart. */
  readonly method: string;
  /** Name of the gRPC status code, lower case with underscores: `ok`, `not_found`. */
  readonly code: string;
  readonly door: "grpc" | "http";
}

/** What is read each time the metrics are asked for. It must be quick. */
export interface MetricsSources {
  connectionsByStatus(): Readonly<Record<ConnectionStatus, number>>;
  watchSubscribers(): number;
  /** How long the oldest due refresh has been waiting; 0 when none is due. */
  refreshQueueLagMs(): number;
  /** Providers that refuse the client of their profile. */
  suspendedProviders?(): number;
}

/** From a provider next door to one that is about to time out. */
const durationBucketsSeconds = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** 0 holds those that died before they were replaced; the usual window is 5 minutes. */
const timeToExpiryBucketsSeconds = [0, 1, 5, 15, 30, 60, 120, 240, 300, 600, 3600];

/** The lines of what prom-client derives from a histogram of the event loop's lag. */
const lagStatistics =
  /^(?:# (?:HELP|TYPE) )?nodejs_eventloop_lag_(?:min|max|mean|stddev|p\d+)_seconds .*\n/gm;

/** The numbers of one daemon, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  #measuresProcess = false;
  readonly #methods = new LabelValues(100);
  readonly #codes = new LabelValues(20);
  readonly #providers = new LabelValues(200);
  readonly #reasons = new LabelValues(50);
  readonly #rpcs: Counter<"method" | "code" | "door">;
  readonly #refreshes: Counter<"provider" | "result" | "reason">;
  readonly #refreshDuration: Histogram;
  readonly #timeToExpiry: Histogram;
  #sources: MetricsSources | undefined;

  constructor(build: { readonly version: string }) {
    const registers = [this.#registry];
    this.#rpcs = new Counter({
      name: "nexus_rpc_requests_total",
      help: "RPCs answered, streams counted when they end.",
      labelNames: ["method", "code", "door"],
      registers,
    });
    this.#refreshes = new Counter({
      name: "nexus_refresh_total",
      help: "Refresh grants, by what came of them.",
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
    this.#addGauges(build.version);
  }

  /** Sets where the gauges are read; until then they have no value. */
  observe(sources: MetricsSources): void {
    this.#sources = sources;
  }

  rpcAnswered({ method, code, door }: RpcOutcome): void {
    this.#rpcs.inc({ method: this.#methods.bound(method), code: this.#codes.bound(code), door });
  }

  /**
   * Counts a refresh grant.
   *
   * @param provider name of the provider profile; at most 200 are told apart
   * @param reason a stable word, empty for a success; at most 50 are told apart
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

  /**
   * The text format of Prometheus. From the first call on the process itself is measured too, which wakes it up every 10 ms: a daemon whom
   * nobody asks sleeps. So the first answer has no statistics of the event loop's lag yet.
   */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    const isFirst = !this.#measuresProcess;
    if (isFirst) collectDefaultMetrics({ register: this.#registry });
    this.#measuresProcess = true;
    const body = await this.#registry.metrics();
    return {
      contentType: this.#registry.contentType,
      body: isFirst ? body.replace(lagStatistics, "") : body,
    };
  }

  #addGauges(version: string): void {
    const registers = [this.#registry];
    new Gauge({
      name: "nexus_build_info",
      help: "Always 1; the labels say what runs.",
      labelNames: ["version", "node_version"],
      registers,
    }).set({ version, node_version: process.versions.node }, 1);
    const connections = new Gauge({
      name: "nexus_connections",
      help: "Connections in the store, by status.",
      labelNames: ["status"],
      registers,
      collect: () => {
        const counts = this.#sources?.connectionsByStatus();
        for (const status of counts ? connectionStatuses : []) {
          connections.set({ status }, counts?.[status] ?? 0);
        }
      },
    });
    this.#addReadGauge("nexus_watch_subscribers", "Open WatchTokens streams.", (sources) =>
      sources.watchSubscribers(),
    );
    this.#addReadGauge(
      "nexus_refresh_queue_lag_seconds",
      "How long the oldest due refresh has been waiting; 0 when none is due.",
      (sources) => sources.refreshQueueLagMs() / 1000,
    );
    this.#addReadGauge(
      "nexus_providers_suspended",
      "Provider profiles whose client the provider refuses.",
      (sources) => sources.suspendedProviders?.() ?? 0,
    );
  }

  #addReadGauge(name: string, help: string, read: (sources: MetricsSources) => number): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect: () => {
        if (this.#sources) gauge.set(read(this.#sources));
      },
    });
  }
}
