import type { Permissions } from "../../../model/access/permissions.js";
import type { Principal } from "../../../model/access/principal.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { BoundedMap } from "../../../runtime/bounded_map.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import { Credentials, isRefused } from "../proxy/credentials.js";
import { OpenUses } from "../proxy/open_uses.js";
import { Problem } from "../proxy/problem.js";
import { type Route, Routes, routeOf } from "../proxy/routes.js";
import { EgressSession } from "../proxy/session.js";
import type { SessionDeps } from "../proxy/session_deps.js";
import { inProcessSession } from "./in_process_session.js";

/** Of all callers together: some 50 KB each, with the servers of a few hosts. */
const maxSessions = 5_000;
/** A session without a connection ends after it. */
const idleMs = 60_000;
/** How old what is known of the profiles may be. */
const profilesAgeMs = 1_000;

export interface CallerSessionsDeps
  extends Omit<SessionDeps, "credentials" | "uses" | "routes" | "methods" | "paths"> {
  readonly services: Parameters<typeof inProcessSession>[0];
  readonly store: Store;
  readonly access: {
    permissionsOf(name: string): Permissions;
    seesProvider(permissions: Permissions, provider: ProviderProfile): boolean;
  };
  /** Whose connections are used where neither the caller nor its restriction names a user. */
  readonly user: string | undefined;
  readonly clock: Clock;
}

/** The sessions of callers of the egress listener: one for each caller and user while there are connections. */
export class CallerSessions {
  readonly #sessions = new BoundedMap<string, EgressSession>(maxSessions);
  #routes: readonly (readonly [ProviderProfile, Route])[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: CallerSessionsDeps) {}

  /** @param user as the caller names it, or empty @throws Problem */
  of(principal: Principal, user: string): EgressSession {
    const userId = user || this.#soleUserOf(principal) || this.deps.user;
    if (userId === undefined)
      throw new Problem(
        407,
        "no-user",
        "whose connections? name the user in the URL of the proxy: http://USER:KEY@host:port",
      );
    const key = [principal.name, userId, principal.expiresAtMs].join("\n");
    const known = this.#sessions.get(key);
    if (known) return known;
    const session = this.#open(principal, userId, () => this.#sessions.delete(key));
    this.#sessions.set(key, session)?.close();
    return session;
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
  }

  #open(principal: Principal, userId: string, forget: () => void): EgressSession {
    const { services, clock, authority, upstream, network, record } = this.deps;
    const credentials = new Credentials({
      session: inProcessSession(services, { ...principal, isProxied: true }),
      userId,
      waitsForConsent: false,
      onConsent: () => undefined,
    });
    const over = (): void => {
      forget();
      session.close();
    };
    const uses = new OpenUses({
      watch: (routes, signal) => credentials.watch(routes, signal),
      isRefused,
      onRefused: over,
      clock,
    });
    const routes = new Routes(
      () => this.#routesOf(principal),
      ({ providerName, label }) => this.#isConnected(providerName, userId, label),
    );
    const own = { authority, upstream, network, record, methods: undefined, paths: undefined };
    const session: EgressSession = new EgressSession({ ...own, credentials, uses, routes });
    const look = (): void => void (session.isIdle ? over() : clock.setTimer(idleMs, look));
    clock.setTimer(idleMs, look);
    return session;
  }

  #routesOf({ name }: Principal): Route[] {
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

  #isConnected(providerName: string, userId: string, label: string): boolean {
    const { store } = this.deps;
    const providerId = store.findProviderIdByName(providerName);
    if (providerId === undefined) return false;
    for (const _ of store.idsNamed({ providerId, userId, label })) return true;
    return false;
  }

  #soleUserOf({ name }: Principal): string | undefined {
    const lists = this.deps.access.permissionsOf(name).rules.map(({ restriction }) => restriction?.userIds);
    const [only] = lists.flatMap((users) => (users?.length === 1 ? users : []));
    return only?.includes("*") ? undefined : only;
  }
}
