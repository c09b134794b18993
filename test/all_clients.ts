import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { daemonServices } from "../src/cli/shell/daemon_services.js";
import { ApprovalService } from "../src/gen/nexus/v1/approval_pb.js";
import { BackupService } from "../src/gen/nexus/v1/backup_pb.js";
import { ClientKeyService } from "../src/gen/nexus/v1/client_key_pb.js";
import { ConsoleService } from "../src/gen/nexus/v1/console_pb.js";
import { EgressService } from "../src/gen/nexus/v1/egress_pb.js";
import { FleetService } from "../src/gen/nexus/v1/fleet_pb.js";
import { KeyringService } from "../src/gen/nexus/v1/keyring_pb.js";
import { NotificationService } from "../src/gen/nexus/v1/notification_pb.js";
import { PolicyService } from "../src/gen/nexus/v1/policy_pb.js";
import { UseService } from "../src/gen/nexus/v1/use_pb.js";

/** What a daemon with all extensions serves. */
export const allServices = {
  ...daemonServices,
  approvals: ApprovalService,
  backups: BackupService,
  clientKeys: ClientKeyService,
  console: ConsoleService,
  egress: EgressService,
  fleet: FleetService,
  keyring: KeyringService,
  notifications: NotificationService,
  policy: PolicyService,
  uses: UseService,
} as const;

/** A client of each service. */
export type Clients = { readonly [Name in keyof typeof allServices]: Client<(typeof allServices)[Name]> };

export function clientsOver(transport: Transport): Clients {
  const clients = Object.entries(allServices).map(([name, service]) => [
    name,
    createClient(service, transport),
  ]);
  return Object.fromEntries(clients) as Clients;
}
