import { AccessService } from "../../gen/nexus/v1/access_pb.js";
import { AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../gen/nexus/v1/status_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";

/** What commands of the core call. A command of an extension asks `Daemon.of` for a client of its service. */
export const daemonServices = {
  providers: ProviderService,
  connections: ConnectionService,
  tokens: TokenService,
  audit: AuditService,
  access: AccessService,
  status: StatusService,
} as const;
