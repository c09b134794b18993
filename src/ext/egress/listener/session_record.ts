import { by, type Principal } from "../../../model/access/access.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";
import { LabelValues, type Metrics } from "../../../telemetry/telemetry.js";
import type { NamedRoute, Route } from "../proxy/routes.js";
import { SessionCounts } from "../sessions/session_counts.js";

/** Series of providers; a daemon has fewer profiles in use. */
const maxProviders = 200;

/** The numbers of one egress listener. */
export class EgressMetrics {
  readonly #providers = new LabelValues(maxProviders);
  readonly #requests: (labels: Record<"provider" | "status", string>) => void;
  readonly #refusals: (labels: Record<"reason", string>) => void;

  constructor(metrics: Metrics, sessions: () => number) {
    this.#requests = metrics.addCounter(
      "nexus_egress_requests_total",
      "Requests that got a credential and were answered, by provider and status.",
      ["provider", "status"],
    );
    this.#refusals = metrics.addCounter(
      "nexus_egress_refusals_total",
      "Requests and tunnels that the egress listener refused, by reason.",
      ["reason"],
    );
    metrics.addGauge("nexus_egress_sessions", "Callers, by user, with open connections.", sessions);
  }

  answered(providerName: string, status: number): void {
    this.#requests({ provider: this.#providers.bound(providerName), status: String(status) });
  }

  refused(reason: string): void {
    this.#refusals({ reason });
  }
}

interface Used {
  readonly route: NamedRoute;
  count: number;
  trace: string | undefined;
}

/** What one session did: counted, and one audit event for each connection and minute. */
export class SessionRecord extends SessionCounts {
  readonly #used = new Map<string, Used>();

  constructor(
    private readonly deps: {
      readonly principal: Principal;
      readonly sessionId: string;
      readonly userId: string;
      readonly metrics: EgressMetrics;
      readonly store: Store;
      /** @returns the connection's id, where there is one */
      idOf(route: NamedRoute): string | undefined;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {
    super();
  }

  override answered(route: Route | undefined, status: number, trace: string | undefined): void {
    super.answered(route, status, trace);
    if (!route) return;
    this.deps.metrics.answered(route.providerName, status);
    const key = `${route.providerName}\n${route.label}`;
    const used = this.#used.get(key) ?? { route, count: 0, trace: undefined };
    used.count++;
    used.trace = trace ?? used.trace;
    this.#used.set(key, used);
  }

  override refused(kind: string): void {
    super.refused(kind);
    this.deps.metrics.refused(kind);
  }

  /** Each minute, and at the end of the session. Never rejects. */
  async flush(): Promise<void> {
    const { principal, sessionId, userId, store, clock, log, idOf } = this.deps;
    const used = [...this.#used.values()];
    this.#used.clear();
    if (used.length === 0) return;
    const timeMs = clock.nowMs();
    const events = used.map(({ route, count, trace }) => {
      const connectionId = idOf(route);
      const where = { userId, ...(connectionId !== undefined && { connectionId }) };
      const use = { session: sessionId, ...(trace !== undefined && { traceId: trace }) };
      return { timeMs, type: "egress_used", ...by(principal), count, ...where, ...use } as const;
    });
    try {
      await store.record((tx) => {
        for (const event of events) tx.appendAudit(event);
      });
    } catch (error) {
      log.error({ err: error }, "the uses of an egress session could not be recorded");
    }
  }
}
