import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LabelValues, type Metrics } from "../../../core/core.js";
import type { AccessControl, RequestRules } from "../../../domain/access/access.js";
import {
  type EgressSession as EgressSessionMessage,
  EgressSessionSchema,
} from "../../../gen/nexus/v1/egress_pb.js";
import { by, type Principal } from "../../../model/access/access.js";
import { type NexusError, Unavailable } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import type { BoundService } from "../../../service/service.js";
import type { Store } from "../../../store/store.js";
import { BodyBudget, maxHeldByAll, maxHeldByCaller } from "../proxy/body.js";
import { isRefused, SessionCredentials } from "../proxy/credentials.js";
import type { Dialer } from "../proxy/dial.js";
import type { SessionDeps } from "../proxy/exchange.js";
import { OpenUses } from "../proxy/open_uses.js";
import { ProblemDetails } from "../proxy/problem.js";
import { type NamedRoute, type ProviderRoute, routeOf, SessionRoutes } from "../proxy/routes.js";
import { EgressSession, type StandIn, type StandIns } from "../proxy/session.js";
import { Upstream } from "../proxy/upstream.js";
import { SessionCounts } from "../sessions/session_counts.js";
import { daemonRpcs } from "./daemon_rpcs.js";
import { FairMap } from "./fair_map.js";

/** Of all callers together, and of one that acts for many users: some 50 KB each. */
const defaultMaxSessions = { ofOne: 1_000, ofAll: 5_000 };
/** Servers of APIs' names, likewise: some 80 KB each. */
const maxStandIns = { ofOne: 128, ofAll: 1_024 };
/** A session without a connection ends after it; what the others did is recorded. */
const idleMs = 60_000;
/** How old what is known of the profiles may be. */
const profilesAgeMs = 1_000;

export interface CallerSessionsDeps
  extends Omit<
    SessionDeps,
    "credentials" | "upstream" | "bodies" | "uses" | "routes" | "methods" | "paths" | "record"
  > {
  readonly dialer: Dialer;
  readonly services: readonly BoundService[];
  readonly store: Store;
  readonly access: AccessControl;
  readonly rules: Pick<RequestRules, "looksAt">;
  /** Of a daemon that is not alone: whether it decides by itself. The hub that decides may have rules that this daemon does not know. */
  readonly fleet?: { readonly leads: boolean } | undefined;
  /** Whose connections are used where neither the caller nor its restriction names a user. */
  readonly user: string | undefined;
  readonly metrics: EgressMetrics;
  readonly clock: Clock;
  readonly log: Log;
  readonly maxSessions?: typeof defaultMaxSessions;
}

interface CallerSession {
  readonly session: EgressSession;
  listed(): EgressSessionMessage;
  /** Resolves when what it did is recorded. */
  end(): Promise<void>;
}

/** The sessions of callers of the egress listener: one for each caller and user while there are connections. */
export class CallerSessions {
  readonly #sessions: FairMap<string, CallerSession>;
  readonly #standIns = new FairMap<string, StandIn>(maxStandIns);
  readonly #bodies = new BodyBudget(maxHeldByAll);
  #routes: readonly (readonly [ProviderProfile, ProviderRoute])[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: CallerSessionsDeps) {
    this.#sessions = new FairMap(deps.maxSessions ?? defaultMaxSessions);
  }

  /** @param user as the caller names it, or empty @throws Problem; Unauthenticated and PermissionDenied for a caller that may use no credential */
  of(principal: Principal, user: string): EgressSession {
    this.deps.access.admit(principal, "token.read");
    const userId = user || this.#soleUserOf(principal) || this.deps.user;
    if (userId === undefined) {
      const detail = "whose connections? name the user in the URL of the proxy: http://USER:KEY@host:port";
      throw new ProblemDetails(407, "no-user", detail);
    }
    const { name, expiresAtMs } = principal;
    const key = `${userId}\n${expiresAtMs}`;
    const known = this.#sessions.get(name, key);
    if (known) return known.session;
    const opened = this.#open(principal, userId, () => {
      // Another one may have its place.
      if (this.#sessions.get(name, key) === opened) this.#sessions.delete(name, key);
    });
    void this.#sessions.set(name, key, opened)?.end();
    return opened.session;
  }

  list(): EgressSessionMessage[] {
    return [...this.#sessions.values()].map((open) => open.listed());
  }

  get size(): number {
    return this.#sessions.size;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((open) => open.end()));
  }

  #open(principal: Principal, userId: string, forget: () => void): CallerSession {
    const { services, clock, authority, dialer, authorities, network, access, rules, fleet } = this.deps;
    const upstream = new Upstream(dialer);
    const credentials = new SessionCredentials({
      rpcs: daemonRpcs(services, { ...principal, isProxied: true }),
      userId,
      waitsForConsent: false,
      onConsent: () => undefined,
      isJudged: (providerName) => fleet?.leads === false || rules.looksAt(principal, providerName),
    });
    const record = new SessionRecord({
      ...{ ...this.deps, principal, userId, sessionId: credentials.sessionId },
      idOf: ({ providerName, label }) => this.#idOf(providerName, userId, label),
    });
    let release = (): void => undefined;
    const end = async (): Promise<void> => {
      timer.cancel();
      release();
      forget();
      session.close();
      upstream.close();
      await record.flush();
    };
    const uses = new OpenUses({
      watch: (routes, signal) => credentials.watch(routes, signal),
      isRefused,
      onRefused: () => void end(),
      clock,
    });
    const routes = new SessionRoutes(
      () => this.#routesOf(principal),
      ({ providerName, label }) => this.#idOf(providerName, userId, label) !== undefined,
    );
    const bodies = new BodyBudget(maxHeldByCaller, this.#bodies);
    const allowed = { network, routes, methods: undefined, paths: undefined };
    const own = { authority, authorities, upstream, bodies, record, credentials, uses };
    const standIns = this.#standInsOf(principal, credentials.sessionId);
    const session: EgressSession = new EgressSession({ ...own, ...allowed }, standIns);
    const look = (): void => {
      if (session.isIdle) return void end();
      void record.flush();
      timer = clock.setTimer(idleMs, look);
    };
    let timer = clock.setTimer(idleMs, look);
    // Tunnels to other hosts use no credential: no stream of the daemon would end them. `hold` may call this before it returns.
    const onEnded = (error: NexusError) => void (error instanceof Unavailable || queueMicrotask(end));
    release = access.hold(principal, "token.read", access.permissionsFor(principal), onEnded, true);
    const since = timestampFromMs(clock.nowMs());
    const about = {
      ...{ id: credentials.sessionId, principal: principal.name, userId, since },
      ...(principal.expiresAtMs !== undefined && { until: timestampFromMs(principal.expiresAtMs) }),
    };
    return { session, end, listed: () => create(EgressSessionSchema, { ...about, ...record.listed }) };
  }

  #standInsOf({ name }: Principal, sessionId: string): StandIns {
    const all = this.#standIns;
    const own = `${sessionId} `;
    return {
      get: (authority) => all.get(name, own + authority),
      set: (authority, standIn) => void all.set(name, own + authority, standIn),
      clear: () => {
        for (const key of all.keysOf(name)) if (key.startsWith(own)) all.delete(name, key);
      },
    };
  }

  #routesOf({ name }: Principal): ProviderRoute[] {
    const { store, access, clock } = this.deps;
    if (clock.monotonicMs() - this.#readAtMs >= profilesAgeMs) {
      this.#readAtMs = clock.monotonicMs();
      const profiles = store.listProviders({ limit: Number.POSITIVE_INFINITY });
      this.#routes = profiles.map((profile) => [profile, routeOf(profile, "")] as const);
    }
    const permissions = access.permissionsOf(name);
    return this.#routes
      .filter(([profile, { places }]) => places.length > 0 && access.seesProvider(permissions, profile))
      .map(([, route]) => route);
  }

  #idOf(providerName: string, userId: string, label: string): string | undefined {
    const { store } = this.deps;
    const providerId = store.findProviderIdByName(providerName);
    if (providerId === undefined) return undefined;
    for (const id of store.idsNamed({ providerId, userId, label })) return id;
    return undefined;
  }

  #soleUserOf({ name }: Principal): string | undefined {
    const lists = this.deps.access.permissionsOf(name).rules.map(({ restriction }) => restriction?.userIds);
    const [only] = lists.flatMap((users) => (users?.length === 1 ? users : []));
    return only?.includes("*") ? undefined : only;
  }
}

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
class SessionRecord extends SessionCounts {
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

  override answered(route: ProviderRoute | undefined, status: number, trace: string | undefined): void {
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
      const providerId = store.findProviderIdByName(route.providerName);
      const where = { userId, providerId, ...(connectionId !== undefined && { connectionId }) };
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
