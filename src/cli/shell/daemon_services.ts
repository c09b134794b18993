import { AccessService } from "../../gen/nexus/v1/access_pb.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { BackupService } from "../../gen/nexus/v1/backup_pb.js";
import { ClientKeyService } from "../../gen/nexus/v1/client_key_pb.js";
import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ConsoleService } from "../../gen/nexus/v1/console_pb.js";
import { EgressService } from "../../gen/nexus/v1/egress_pb.js";
import { FleetService } from "../../gen/nexus/v1/fleet_pb.js";
import { KeyringService } from "../../gen/nexus/v1/keyring_pb.js";
import { NotificationService } from "../../gen/nexus/v1/notification_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../gen/nexus/v1/status_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";

/** What commands call. `--json` prints messages of the files that these stand in. */
export const daemonServices = {
  providers: ProviderService,
  connections: ConnectionService,
  tokens: TokenService,
  audit: AuditService,
  keyring: KeyringService,
  clientKeys: ClientKeyService,
  backups: BackupService,
  access: AccessService,
  status: StatusService,
  notifications: NotificationService,
  console: ConsoleService,
  fleet: FleetService,
  approvals: ApprovalService,
  egress: EgressService,
} as const;
