import type { Authenticate } from "../domain/access/access.js";
import type { Limits } from "../model/limits.js";
import { formatListenAddress, type ListenAddress } from "../model/listen_address.js";
import type { Clock } from "../runtime/clock.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import { ApiListener } from "./api/api_listener.js";
import { FailedAuthentications, limitedAuthenticate } from "./callers/failed_authentications.js";
import type { Routes } from "./listen/http_message.js";
import type { Listener, ListenerPlace, OnUnexpected } from "./listen/listener.js";
import type { ListenerLimits } from "./listen/listener_limits.js";
import { OpenCalls } from "./listen/stream_watchdogs.js";
import { type BrowserPages, consentListener } from "./pages/browser_pages.js";
import { type OpsListenerOptions, opsListener } from "./pages/ops_listener.js";
import { restRoutes } from "./rest/rest_routes.js";
import type { SocketAccess } from "./sockets/peer_credentials.js";
import { type MakeOpenServices, StandardServices } from "./standard/standard_services.js";
import type { ListenerTls } from "./tls/tls_listener.js";

export interface ListenersOptions {
  readonly grpcListen: readonly ListenAddress[];
  readonly httpListen: readonly ListenAddress[];
  readonly browserListen: readonly ListenAddress[];
  readonly opsListen: readonly ListenAddress[];
  readonly publicUrl: string;
  readonly grpcServices: readonly BoundService[];
  readonly openServices: readonly MakeOpenServices[];
  readonly httpServices: readonly BoundService[];
  /** Those of extensions, before the REST contract. */
  readonly routes: readonly Routes[];
  readonly pages: BrowserPages;
  readonly authenticate: Authenticate;
  readonly readiness: OpsListenerOptions["readiness"];
  readonly metrics: OpsListenerOptions["metrics"];
  readonly opsPages: OpsListenerOptions["pages"];
  readonly extensions?: readonly ExtensionListeners[];
  readonly onUnexpected: OnUnexpected;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly descriptors?: ListenerLimits["descriptors"];
  readonly onFull: ListenerLimits["onFull"];
  /** Notified of addresses that show a credential which is not valid. */
  readonly onRefused?: (origin: string) => void;
  /** Who may open the Unix sockets; their owner without it. */
  readonly sockets?: SocketAccess;
  /** What the TCP addresses of a listener speak; plain text where there is none. */
  tlsOf(listener: string): ListenerTls | undefined;
}

type OwnName = "grpc" | "http" | "browser" | "ops";

type WatchedPlace = ListenerPlace & { readonly onUnexpected: OnUnexpected };
export type ExtensionPlace = WatchedPlace & { readonly authenticate: Authenticate };

/** The listeners of an extension. */
export interface ExtensionListeners {
  readonly name: string;
  make(place: ExtensionPlace): readonly Listener[];
}

type ByKind<T> = Record<OwnName, T> & Readonly<Record<string, T>>;

/** Every kind of listener, opened together and closed together. */
export class Listeners {
  readonly #standard: StandardServices;
  readonly #listeners: ByKind<readonly Listener[]>;

  constructor(options: ListenersOptions) {
    const failures = new FailedAuthentications(options.limits.failedAuthenticationRate);
    const authenticate = limitedAuthenticate(options.authenticate, failures, options.onRefused);
    this.#standard = new StandardServices(options.grpcServices, options.openServices);
    const openCalls = new OpenCalls(options.limits);
    const common = { authenticate, openCalls, clock: options.clock };
    const routes = routesOf(options);
    const { pages, publicUrl, readiness, metrics, opsPages, extensions = [] } = options;
    const standard = this.#standard.services;
    const grpc = options.grpcListen.map((listen) => {
      const services = [...options.grpcServices, ...standard];
      return new ApiListener({ ...placeOf(options, "grpc"), ...common, name: "grpc", listen, services });
    });
    const http = options.httpListen.map((listen) => {
      const services = [...options.httpServices, ...standard];
      return new ApiListener({
        ...placeOf(options, "http"),
        ...common,
        name: "http",
        listen,
        services,
        routes,
      });
    });
    const browser = options.browserListen.map((listen) =>
      consentListener({ ...placeOf(options, "browser"), listen, publicUrl: new URL(publicUrl), pages }),
    );
    const ops = options.opsListen.map((listen) =>
      opsListener({ ...placeOf(options, "ops"), listen, readiness, metrics, pages: opsPages }),
    );
    const others = extensions.map(({ name, make }) => [
      name,
      make({ ...placeOf(options, name), authenticate }),
    ]);
    this.#listeners = { grpc, http, browser, ops, ...Object.fromEntries(others) };
  }

  /** The addresses really bound, by kind of listener. */
  get addresses(): ByKind<string[]> {
    const all = Object.entries(this.#listeners).map(([name, listeners]) => [
      name,
      listeners.flatMap(({ addresses }) => addresses).map(formatListenAddress),
    ]);
    return Object.fromEntries(all);
  }

  /** @throws ListenerError; then every listener is closed again */
  async open(): Promise<void> {
    try {
      for (const listener of this.#all()) await listener.open();
    } catch (error) {
      await this.close(AbortSignal.abort());
      throw error;
    }
  }

  /** Health answers NOT_SERVING from now on, and everything else as before. */
  stopServing(): void {
    this.#standard.setServing(false);
  }

  /** Takes nothing new, and resolves when the last connection is gone; what is left is cut off when `force` aborts. */
  async close(force: AbortSignal): Promise<void> {
    this.#standard.close();
    await Promise.all(this.#all().map((listener) => listener.close(force)));
  }

  #all(): readonly Listener[] {
    return Object.values(this.#listeners).flat();
  }
}

/** The answer of the first that has one. */
function firstOf(all: readonly Routes[]): Routes {
  return (request, response, principal) => all.some((routes) => routes(request, response, principal));
}

/** What every listener knows about its place. */
function placeOf(
  { limits, clock, descriptors, onFull, onUnexpected, sockets, tlsOf }: ListenersOptions,
  name: string,
): WatchedPlace {
  const bounds = { limits, clock, descriptors, isNeeded: name === "ops", onFull };
  return { setting: `NEXUS_${name.toUpperCase()}_LISTEN`, tls: tlsOf(name), bounds, sockets, onUnexpected };
}

/** What the `http` listener answers beside calls. */
function routesOf(options: ListenersOptions): Routes {
  const { httpServices: services, onUnexpected, clock, metrics } = options;
  const { maxBodyBytes } = options.limits;
  const rest = { services, onUnexpected, maxBodyBytes, nowMs: () => clock.nowMs(), metrics };
  return firstOf([...options.routes, restRoutes(rest)]);
}
