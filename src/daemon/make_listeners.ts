import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import type { Domain } from "../core/core.js";
import type { DaemonOptions } from "../core/daemon_options.js";
import type { Membership } from "../core/membership.js";
import type { PagesGround, Registry } from "../core/registry.js";
import { authenticateBy } from "../domain/access/access.js";
import { jwksPath } from "../model/clients/client_key.js";
import { noTracing } from "../model/tracing.js";
import { atMostEachMinute } from "../runtime/at_most_each_minute.js";
import { Listeners } from "../server/listeners.js";
import { BrowserPages } from "../server/pages/browser_pages.js";
import { type DescribeProvider, describeBy } from "../server/pages/page_words.js";
import { nexusService } from "../server/rest/gateway_calls.js";
import { openSocketAccess } from "../server/sockets/peer_credentials.js";
import { Descriptors, type FullOf } from "../server/sockets/socket_guard.js";
import type { BoundService } from "../service/pipeline/bound_service.js";
import type { Guard } from "../service/pipeline/call_guard.js";
import { CallLimits } from "../service/pipeline/call_limits.js";
import { CallPipeline, type ListenerCalls } from "../service/pipeline/call_pipeline.js";
import { actionOfRpc } from "../service/pipeline/rpc_access.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import { accessService } from "../service/services/access_service.js";
import { auditService } from "../service/services/audit_service.js";
import { connectionService } from "../service/services/connection_service.js";
import { leadControlService } from "../service/services/lead_control_service.js";
import { providerService } from "../service/services/provider_service.js";
import { statusService } from "../service/services/status_service.js";
import { tokenService } from "../service/services/token_service.js";
import type { ApiKey } from "../vault/api_key_file.js";
import type { Resources } from "./resources.js";

/** The listeners, and what other daemons are served of what is behind them. */
export interface MadeListeners {
  readonly listeners: Listeners;
  readonly services: readonly BoundService[];
  readonly pages: BrowserPages;
}

interface ListenerParts {
  readonly adminKey: ApiKey;
  readonly templates: Catalogue;
  readonly member: Membership | undefined;
  readonly added: Registry["added"];
}

/** Every listener, over the domain; none is open yet. @throws NoPeerCredentials */
export async function makeListeners(
  options: DaemonOptions,
  { metrics, tls }: Resources,
  domain: Domain,
  parts: ListenerParts,
): Promise<MadeListeners> {
  const { config, log, clock } = options;
  const { member, added } = parts;
  const own = { nowMs: () => clock.nowMs(), more: added.rpcs };
  const services = definedServices(domain, parts.templates, config, own, member);
  const guard = guardOf(domain, member);
  const pipelineOf = pipelines(options, metrics, domain, guard);
  const [grpc, http] = [pipelineOf("grpc"), pipelineOf("http")];
  const describe = describeBy((name) => parts.templates.find(name));
  const pages = browserPages(config, domain, describe, parts, own.nowMs);
  const httpServices = services.map((one) => http.bind(one));
  const onUnexpected = (error: unknown, where: string): void =>
    log.error({ err: error, where }, "unexpected error");
  const authenticate = authenticateBy({
    adminKey: parts.adminKey,
    keys: domain.access.keys,
    jwt: added.jwt,
    ownUid: process.getuid?.(),
    member,
    nowMs: () => clock.nowMs(),
  });
  const ground: PagesGround = {
    servicesAt: (listener) => services.map((one) => pipelineOf(listener).bind(one)),
    describe,
  };
  const listeners = new Listeners({
    ...config,
    grpcServices: services.map((one) => grpc.bind(one)),
    openServices: added.openServices,
    httpServices,
    routes: added.routes.map((make) => make(httpServices, onUnexpected)),
    pages,
    authenticate,
    tlsOf: tls.of,
    sockets: await openSocketAccess(config.listeners.socketMode),
    readiness: () => domain.operations.status.checks(),
    opsPages: added.pages,
    extensions: added.listeners.map((make) => make(ground)),
    metrics: () => metrics.render(),
    onRefused: (origin) => log.warn({ origin }, "credential refused: it is wrong, or was revoked or expired"),
    onUnexpected,
    ...(await fullness(options)),
    clock,
  });
  const inner = new CallPipeline({ guard });
  return { listeners, services: member ? services.map((one) => inner.bind(one)) : [], pages };
}

/** What judges each call. */
export function guardOf({ access }: Domain, member: Membership | undefined): Guard {
  return { access: access.control, gate: access.gate, deniedAccess: access.deniedAccess, member };
}

/** How many sockets there may be, and what is said where there are as many. */
async function fullness({ config, clock, log }: DaemonOptions) {
  const descriptors = await Descriptors.ofProcess();
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
  { consents, endpoint, profiles }: Domain,
  describe: DescribeProvider,
  { member, added }: ListenerParts,
  nowMs: () => number,
): BrowserPages {
  return new BrowserPages({
    publicUrl: new URL(config.publicUrl),
    flow: consents.consent,
    capture: consents.captureForm,
    publishedDocument: async (path) =>
      path === jwksPath ? endpoint.clientKeys.jwkSet : profiles.mcp.clientDocument(path),
    followLink: added.links,
    describe,
    nowMs,
    leaderPage: member?.page,
  });
}

/** What happens around a call at each listener; they share their limits. */
function pipelines(
  { config, tracing = noTracing }: DaemonOptions,
  metrics: Resources["metrics"],
  { access: { streams } }: Domain,
  guard: Guard,
): (listener: ListenerCalls["listener"]) => CallPipeline {
  const limits = new CallLimits(config.limits);
  return (listener) => new CallPipeline({ guard, calls: { listener, limits, metrics, tracing, streams } });
}

/** Every service of the contract, over the domain. @param own `more` are those of extensions */
export function definedServices(
  domain: Domain,
  templates: Catalogue,
  { publicUrl }: Config,
  { nowMs, more }: { nowMs(): number; readonly more: readonly ServiceDefinition[] },
  member?: Membership,
): ServiceDefinition[] {
  const { profiles, grants, consents, provisioning, reading, operations } = domain;
  const { control: access, keys, explainer, rules, names, seen, streams } = domain.access;
  const { registry, trial, mcp, mcpNames } = profiles;
  const { tokens } = reading;
  const { status, expiries, audit } = operations;
  const own: ServiceDefinition[] = [
    providerService({ registry, trial, templates, access, publicUrl, mcp }),
    connectionService({
      ...provisioning,
      requests: consents.requests,
      capture: consents.capture,
      confirmer: consents.confirmer,
      check: reading.check,
      connectionWatch: reading.connectionWatch,
      tokens,
      seen,
      access,
      names,
    }),
    tokenService({ ...reading, access, rules, mcp, mcpNames, names, member }),
    auditService({ audit }),
    statusService({ status, expiries, streams, history: grants.history }, member),
    accessService({ keys, access, explainer, rules, actionOfRpc: (rpc) => actionOfRpc(all, rpc) }),
    leadControlService(member),
    ...more,
  ];
  const services = member?.led(own, domain) ?? own;
  const inner = new CallPipeline({ guard: guardOf(domain, member) });
  const all: ServiceDefinition[] = [
    ...services,
    nexusService(
      services.map((service) => inner.bind(service)),
      nowMs,
    ),
  ];
  return all;
}
