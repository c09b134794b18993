import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Asked } from "../../domain/access/request_gate.js";
import { AccessService } from "../../gen/nexus/v1/access_pb.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ConsoleService } from "../../gen/nexus/v1/console_pb.js";
import { EgressService } from "../../gen/nexus/v1/egress_pb.js";
import { NexusService } from "../../gen/nexus/v1/nexus_pb.js";
import { NotificationService } from "../../gen/nexus/v1/notification_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../gen/nexus/v1/status_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";
import type { Action } from "../../model/access/access_table.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import type { ProviderKey } from "../../model/providers/provider_profile.js";

/** What an RPC is to the policy. */
export interface RpcAccess {
  readonly action: Action;
  /** What a request asks for; undefined where the answer is filtered, or the RPC is of no resource. */
  readonly asked: ((request: Message) => Asked) | undefined;
}

const rows = new Map<string, RpcAccess>();

/** The row of an RPC; a service of an extension gives its RPCs theirs where it is defined. */
export function rpcRow<I extends DescMessage>(
  method: DescMethodUnary<I, DescMessage> | DescMethodServerStreaming<I, DescMessage>,
  action: Action,
  asked?: (request: MessageShape<I>) => Asked,
): void {
  rows.set(rpcName(method), { action, asked: asked as RpcAccess["asked"] });
}

/** An RPC whose requests are a stream: what it answers must be filtered. */
export function filteredStream(method: DescMethodBiDiStreaming, action: Action): void {
  rows.set(rpcName(method), { action, asked: undefined });
}

const connectionOf = ({
  connectionId,
  name,
}: {
  readonly connectionId: string;
  readonly name?: ConnectionName | undefined;
}): Asked => (name && connectionId === "" ? { kind: "named", name } : { kind: "connection", connectionId });
const stateOf = ({ state }: { state: string }): Asked => ({ kind: "state", state });

// One row for each RPC of the contract; a test reads the descriptors and fails when one has none.
const { method: providers } = ProviderService;
rpcRow(providers.createProvider, "provider.manage");
rpcRow(providers.getProvider, "provider.read", ({ key }) => ({
  kind: "provider",
  provider: key.case === "name" ? { name: key.value } : { id: key.value ?? "" },
}));
rpcRow(providers.listProviders, "provider.read");
rpcRow(providers.updateProvider, "provider.manage");
rpcRow(providers.deleteProvider, "provider.manage");
rpcRow(providers.listProviderTemplates, "template.read");

const { method: connections } = ConnectionService;
rpcRow(connections.requestConnection, "connection.request", ({ connectionId, userId, provider, label }) => ({
  kind: "request",
  connectionId: connectionId === "" ? undefined : connectionId,
  userId,
  label,
  provider: providerKey(provider),
}));
rpcRow(connections.confirmConnection, "connection.request", connectionOf);
rpcRow(connections.getConnection, "connection.read", connectionOf);
rpcRow(connections.listConnections, "connection.read");
rpcRow(connections.watchConnections, "connection.read");
rpcRow(connections.refreshConnection, "connection.manage", connectionOf);
rpcRow(connections.revokeConnection, "connection.manage", connectionOf);
rpcRow(connections.deleteConnection, "connection.manage", connectionOf);
rpcRow(connections.replaceCredential, "connection.manage", connectionOf);
rpcRow(connections.getCaptureSchema, "connection.capture", stateOf);
rpcRow(connections.captureCredential, "connection.capture", stateOf);
rpcRow(connections.importConnection, "connection.import", ({ userId, providerId, label }) => ({
  kind: "request",
  connectionId: undefined,
  userId,
  label,
  provider: { id: providerId },
}));

const { method: tokens } = TokenService;
rpcRow(tokens.acquireToken, "token.read", ({ providerName, userId, label, mcpServerUrl }) => ({
  kind: "acquired",
  name: { providerName, userId, label },
  mcpServerUrl,
}));
rpcRow(tokens.getToken, "token.read", connectionOf);
rpcRow(tokens.refreshToken, "token.read", connectionOf);
rpcRow(tokens.reportRejectedToken, "token.read", connectionOf);
rpcRow(tokens.createProof, "token.read", connectionOf);
rpcRow(tokens.watchTokens, "token.read");

rpcRow(AuditService.method.listAuditEvents, "audit.read");
rpcRow(AuditService.method.verifyAuditLog, "audit.read");

rpcRow(StatusService.method.getStatus, "status.read");
rpcRow(StatusService.method.getActivity, "status.read");
rpcRow(StatusService.method.listOpenStreams, "status.read");
rpcRow(EgressService.method.listEgressSessions, "status.read");
rpcRow(EgressService.method.reportEgressSession, "token.read");
rpcRow(NotificationService.method.testReceivers, "notification.test");
rpcRow(ApprovalService.method.listHeldRequests, "approval.decide");
rpcRow(ApprovalService.method.decideHeldRequest, "approval.decide");
rpcRow(ApprovalService.method.findApprovalPage, "token.read");
rpcRow(ApprovalService.method.stopPrincipal, "key.manage");
rpcRow(ApprovalService.method.listStops, "key.manage");

rpcRow(AccessService.method.createApiKey, "key.manage");
rpcRow(AccessService.method.listApiKeys, "key.manage");
rpcRow(AccessService.method.revokeApiKey, "key.manage");
rpcRow(AccessService.method.rotateApiKey, "key.manage");
rpcRow(AccessService.method.renewLease, "self.renew");
rpcRow(AccessService.method.explainAccess, "policy.read");
rpcRow(AccessService.method.whoAmI, "self.read");

rpcRow(ConsoleService.method.createConsoleLink, "console.open");

// The RPCs behind these judge the resource again, with ids that are brought into their own form.
rpcRow(NexusService.method.requestConnection, "connection.request");
rpcRow(NexusService.method.checkConnection, "connection.read");
rpcRow(NexusService.method.getToken, "token.read");
rpcRow(NexusService.method.refreshConnection, "token.read");

// By name: the encryption keys, copies of the store and its hubs are the admin's, whatever RPCs their services have.
const adminServices: readonly (readonly [string, Action])[] = [
  ["nexus.v1.KeyringService/", "keyring.manage"],
  ["nexus.v1.ClientKeyService/", "keyring.manage"],
  ["nexus.v1.BackupService/", "backup.manage"],
  ["nexus.v1.FleetService/", "fleet.manage"],
];

/** Undefined for an RPC that nobody gave a row: it is the admin's alone. */
export function rpcAccess(method: DescMethod): RpcAccess | undefined {
  return accessOf(rpcName(method));
}

/** @param rpc `TokenService/GetToken`, with or without its package */
export function actionOfRpc(rpc: string): Action | undefined {
  return accessOf(rpc.startsWith("nexus.v1.") ? rpc : `nexus.v1.${rpc}`)?.action;
}

function accessOf(name: string): RpcAccess | undefined {
  const action = adminServices.find(([prefix]) => name.startsWith(prefix))?.[1];
  return action ? { action, asked: undefined } : rows.get(name);
}

/** `nexus.v1.TokenService/GetToken` */
export function rpcName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

type RequestedProvider =
  | { case: "providerId" | "providerName"; value: string }
  | { case: undefined; value?: undefined };

function providerKey(provider: RequestedProvider): ProviderKey | undefined {
  if (provider.case === undefined) return undefined;
  return provider.case === "providerId" ? { id: provider.value } : { name: provider.value };
}
