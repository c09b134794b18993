import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { nexusService } from "../legacy/nexus_service.js";
import { CallPipeline } from "../service/pipeline/call_pipeline.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import { accessService } from "../service/services/access_service.js";
import { auditService } from "../service/services/audit_service.js";
import { authorizationService } from "../service/services/authorization_service.js";
import { backupService } from "../service/services/backup_service.js";
import { connectionService } from "../service/services/connection_service.js";
import { fleetControlService } from "../service/services/fleet_control_service.js";
import { keyringService } from "../service/services/keyring_service.js";
import { notificationService } from "../service/services/notification_service.js";
import { providerService } from "../service/services/provider_service.js";
import { secretDiscoveryService } from "../service/services/secret_discovery_service.js";
import { statusService } from "../service/services/status_service.js";
import { tokenService } from "../service/services/token_service.js";
import type { HubServices } from "./fleet/hub_interfaces.js";
import type { Domain } from "./wire_domain.js";

/** Every service of the contract, over the domain. */
export function definedServices(
  parts: Domain,
  templates: Catalogue,
  config: Config,
  nowMs: () => number,
  hub?: HubServices,
): ServiceDefinition[] {
  const { registry, connections, tokens, watch, audit, keyring, backups } = parts;
  const { access, names, keys, explainer, guard, mcp, mcpNames, rejected } = parts;
  const { publicUrl } = config;
  const services = [
    providerService({ registry, trial: parts.discoveryTrial, templates, access, publicUrl, mcp }),
    connectionService({ ...parts, manager: connections }),
    tokenService({ tokens, rejected, acquirer: parts.acquirer, watch, access, names, mcp, mcpNames, hub }),
    auditService({ audit }),
    statusService({ status: parts.status }),
    accessService({ keys, access, explainer }),
    keyringService({ keyring }),
    backupService({ backups }),
    notificationService({ notifier: parts.notifier }),
    fleetControlService(hub),
  ].map((service) => hub?.led(service) ?? service);
  const inner = new CallPipeline({ guard });
  return [
    ...services,
    nexusService(
      services.map((service) => inner.bind(service)),
      nowMs,
    ),
  ];
}

/** What proxies call. */
export interface ProxyServices {
  /** Envoy's secret discovery. */
  readonly secrets: ServiceDefinition;
  /** `Check`; also behind a route of the `http` listeners. */
  readonly authorization: ServiceDefinition;
}

export function proxyServices({ secrets, authorizer, access }: Domain, hub?: HubServices): ProxyServices {
  const authorization = authorizationService({ authorizer });
  return {
    secrets: secretDiscoveryService({ secrets, access }),
    authorization: hub?.led(authorization) ?? authorization,
  };
}
