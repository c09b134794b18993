import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { authenticateBy } from "../domain/access/authenticate.js";
import type { Authenticate } from "../domain/access/presented_credentials.js";
import { jwksPath } from "../model/clients/client_key.js";
import { noTracing } from "../model/tracing.js";
import { atMostEachMinute } from "../runtime/at_most_each_minute.js";
import { Listeners } from "../server/listeners.js";
import { BrowserPages } from "../server/pages/browser_pages.js";
import { type DescribeProvider, describeBy } from "../server/pages/page_words.js";
import { nexusService } from "../server/rest/gateway_calls.js";
import { Descriptors } from "../server/sockets/descriptors.js";
import { openSocketAccess } from "../server/sockets/peer_credentials.js";
import type { FullOf } from "../server/sockets/socket_guard.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import { CallLimits } from "../service/pipeline/call_limits.js";
import { CallPipeline, type ListenerCalls } from "../service/pipeline/call_pipeline.js";
import { actionOfRpc } from "../service/pipeline/rpc_access.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import { accessService } from "../service/services/access_service.js";
import { auditService } from "../service/services/audit_service.js";
import { connectionService } from "../service/services/connection_service.js";
import { fleetControlService } from "../service/services/fleet_control_service.js";
import { providerService } from "../service/services/provider_service.js";
import { statusService } from "../service/services/status_service.js";
import { tokenService } from "../service/services/token_service.js";
import type { ApiKey } from "../vault/api_key_file.js";
import type { PagesGround, RunningExtension } from "./extension.js";
import type { HubServices, ListenersHub } from "./hub/hub_interfaces.js";
import type { DaemonOptions, Resources } from "./resources.js";
import type { Domain } from "./wire_domain.js";

/** The listeners, and what other hubs are served of what is behind them. */
export interface MadeListeners {
  readonly listeners: Listeners;
  readonly services: readonly BoundService[];
  readonly pages: BrowserPages;
}

interface ListenerParts {
  readonly adminKey: ApiKey;
  readonly templates: Catalogue;
  readonly hub?: ListenersHub | undefined;
  readonly extensions: readonly RunningExtension[];
}

/** Every listener, over the domain; none is open yet. @throws NoPeerCredentials */
export async function makeListeners(
  options: DaemonOptions,
  { metrics, tls }: Resources,
  domain: Domain,
  parts: ListenerParts,
): Promise<MadeListeners> {
  const { config, log, clock } = options;
  const { hub, extensions } = parts;
  const own = { nowMs: () => clock.nowMs(), more: extensions.flatMap(({ services = [] }) => services) };
  const services = definedServices(domain, parts.templates, config, own, hub);
  const pipelineOf = pipelines(options, metrics, domain);
  const [grpc, http] = [pipelineOf("grpc"), pipelineOf("http")];
  const describe = describeBy((name) => parts.templates.find(name));
  const pages = browserPages(config, domain, describe, parts, own.nowMs);
  const httpServices = services.map((one) => http.bind(one));
  const onUnexpected = (error: unknown, where: string): void =>
    log.error({ err: error, where }, "unexpected error");
  const authenticate = authenticateBy({
    adminKey: parts.adminKey,
    keys: domain.keys,
    jwt: extensions.find((each) => each.jwt)?.jwt,
    ownUid: process.getuid?.(),
    nowMs: () => clock.nowMs(),
  });
  const ground: PagesGround = {
    servicesAt: (listener) => services.map((one) => pipelineOf(listener).bind(one)),
    describe,
  };
  const listeners = new Listeners({
    ...config,
    grpcServices: services.map((one) => grpc.bind(one)),
    openServices: extensions.flatMap(({ openServices = [] }) => openServices),
    httpServices,
    routes: extensions.flatMap((each) => each.routes?.(httpServices, onUnexpected) ?? []),
    pages,
    authenticate: hub ? caughtUp(authenticate, hub) : authenticate,
    tlsOf: tls.of,
    sockets: await openSocketAccess(config.listeners.socketMode),
    readiness: () => domain.status.checks(),
    opsPages: Object.assign({}, ...extensions.map(({ opsPages }) => opsPages)),
    extensions: extensions.flatMap((each) => each.listeners?.(ground) ?? []),
    metrics: () => metrics.render(),
    onRefused: (origin) => log.warn({ origin }, "credential refused: it is wrong, or was revoked or expired"),
    onUnexpected,
    ...fullness(options),
    clock,
  });
  const inner = new CallPipeline({ guard: domain.guard });
  return { listeners, services: hub ? services.map((one) => inner.bind(one)) : [], pages };
}

/** How many sockets there may be, and what is said where there are as many. */
function fullness({ config, clock, log }: DaemonOptions) {
  const descriptors = Descriptors.ofProcess();
  const { limit, forCallers } = descriptors;
  const { maxConnections } = config.limits;
  if (forCallers < maxConnections)
    log.info(
      { descriptors: limit, forCallers, maxConnections },
      "the descriptors of this process allow fewer sockets than NEXUS_MAX_CONNECTIONS: raise ulimit -n (LimitNOFILE of systemd)",
    );
  const onFull = {
    connections: atMostEachMinute(clock, (listener) =>
      log.warn(
        { listener, maxConnections, setting: "NEXUS_MAX_CONNECTIONS" },
        "a listener is full: sockets are closed",
      ),
    ),
    descriptors: atMostEachMinute(clock, (listener) =>
      log.warn(
        { listener, descriptors: limit, forCallers, code: "EMFILE" },
        "callers use all descriptors but those kept back for the daemon: sockets are closed; raise ulimit -n (LimitNOFILE of systemd)",
      ),
    ),
  };
  return { descriptors, onFull: (listener: string, of: FullOf) => onFull[of](listener) };
}

function browserPages(
  config: DaemonOptions["config"],
  domain: Domain,
  describe: DescribeProvider,
  { hub, extensions }: ListenerParts,
  nowMs: () => number,
): BrowserPages {
  const links = extensions.find((each) => each.followLink);
  const pages: BrowserPages = new BrowserPages({
    publicUrl: new URL(config.publicUrl),
    flow: domain.consent,
    capture: domain.captureForm,
    publishedDocument: async (path) =>
      path === jwksPath ? domain.clientKeys.jwkSet : domain.mcp.clientDocument(path),
    followLink: links && ((code) => links.followLink?.(code)),
    describe,
    nowMs,
    ...(hub && { leaderPage: (visit) => hub.page(visit, pages) }),
  });
  return pages;
}

/** A key that this hub does not know may have been made at another one a moment ago. */
function caughtUp(authenticate: Authenticate, hub: ListenersHub): Authenticate {
  return (shown) => {
    const principal = authenticate(shown);
    if (principal !== undefined || hub.leads || shown.token === undefined) return principal;
    return hub.catchUp().then(() => authenticate(shown));
  };
}

/** What happens around a call at each listener; they share their limits. */
function pipelines(
  { config, tracing = noTracing }: DaemonOptions,
  metrics: Resources["metrics"],
  { guard, streams }: Domain,
): (listener: ListenerCalls["listener"]) => CallPipeline {
  const limits = new CallLimits(config.limits);
  return (listener) => {
    const onAnswered = (method: string, code: string): void =>
      metrics.rpcAnswered({ method, code, listener });
    return new CallPipeline({ guard, calls: { listener, limits, onAnswered, tracing, streams } });
  };
}

/** Every service of the contract, over the domain. @param own `more` are those of extensions */
export function definedServices(
  parts: Domain,
  templates: Catalogue,
  config: Config,
  { nowMs, more }: { nowMs(): number; readonly more: readonly ServiceDefinition[] },
  hub?: HubServices,
): ServiceDefinition[] {
  const { registry, audit } = parts;
  const { access, keys, explainer, guard, mcp } = parts;
  const { publicUrl } = config;
  const services = [
    providerService({ registry, trial: parts.discoveryTrial, templates, access, publicUrl, mcp }),
    connectionService(parts),
    tokenService({ ...parts, hub }),
    auditService({ audit }),
    statusService(parts, hub),
    accessService({
      keys,
      access,
      explainer,
      rules: parts.rules,
      actionOfRpc: (rpc) => actionOfRpc(all, rpc),
    }),
    fleetControlService(hub),
    ...more,
  ].map((service) => hub?.led(service) ?? service);
  const inner = new CallPipeline({ guard });
  const all: ServiceDefinition[] = [
    ...services,
    nexusService(
      services.map((service) => inner.bind(service)),
      nowMs,
    ),
  ];
  return all;
}
