import type { Catalogue } from "../catalogue/catalogue.js";
import type { Config } from "../config/config.js";
import { auditService } from "../service/audit_service.js";
import { backupService } from "../service/backup_service.js";
import type { BoundService } from "../service/bound_service.js";
import { connectionService } from "../service/connection_service.js";
import { keyringService } from "../service/keyring_service.js";
import { nexusService } from "../service/nexus_service.js";
import { providerService } from "../service/provider_service.js";
import { tokenService } from "../service/token_service.js";
import type { DomainParts } from "./domain_parts.js";

/** Every service of the contract, over the domain. */
export function boundServices(parts: DomainParts, templates: Catalogue, config: Config): BoundService[] {
  const { registry, connections, confirmer, importer, capture, tokens, watch, audit, keyring, backups } =
    parts;
  const services = [
    providerService({ registry, templates, publicUrl: config.publicUrl }),
    connectionService({ manager: connections, confirmer, importer, capture }),
    tokenService({ tokens, watch }),
    auditService({ audit }),
    keyringService({ keyring }),
    backupService({ backups }),
  ];
  return [...services, nexusService(services)];
}
