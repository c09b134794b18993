import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { nexusService } from "../server/rest/gateway_service.js";
import { CallPipeline } from "../service/pipeline/call_pipeline.js";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";
import { accessService } from "../service/services/access_service.js";
import { auditService } from "../service/services/audit_service.js";
import { backupService } from "../service/services/backup_service.js";
import { clientKeyService } from "../service/services/client_key_service.js";
import { connectionService } from "../service/services/connection_service.js";
import { fleetControlService } from "../service/services/fleet_control_service.js";
import { keyringService } from "../service/services/keyring_service.js";
import { providerService } from "../service/services/provider_service.js";
import { statusService } from "../service/services/status_service.js";
import { tokenService } from "../service/services/token_service.js";
import type { HubServices } from "./hub/hub_interfaces.js";
import type { Domain } from "./wire_domain.js";

/** Every service of the contract, over the domain. @param own `more` are those of extensions */
export function definedServices(
  parts: Domain,
  templates: Catalogue,
  config: Config,
  { nowMs, more }: { nowMs(): number; readonly more: readonly ServiceDefinition[] },
  hub?: HubServices,
): ServiceDefinition[] {
  const { registry, connections, audit, keyring, backups } = parts;
  const { access, keys, explainer, guard, mcp } = parts;
  const { publicUrl } = config;
  const services = [
    providerService({ registry, trial: parts.discoveryTrial, templates, access, publicUrl, mcp }),
    connectionService({ ...parts, manager: connections }),
    tokenService({ ...parts, hub }),
    auditService({ audit }),
    statusService(parts),
    accessService({ keys, access, explainer, rules: parts.rules }),
    keyringService({ keyring }),
    clientKeyService({ clientKeys: parts.clientKeys, publicUrl }),
    backupService({ backups }),
    fleetControlService(hub),
    ...more,
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
