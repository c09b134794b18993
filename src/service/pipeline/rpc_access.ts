import type {
  DescMessage,
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Asked, ProviderKey } from "../../domain/access/request_gate.js";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import { SecretDiscoveryService } from "../../gen/envoy/service/secret/v3/sds_pb.js";
import { AccessService } from "../../gen/nexus/v1/access_pb.js";
import { AuditService } from "../../gen/nexus/v1/audit_pb.js";
import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ConsoleService } from "../../gen/nexus/v1/console_pb.js";
import { NexusService } from "../../gen/nexus/v1/nexus_pb.js";
import { NotificationService } from "../../gen/nexus/v1/notification_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import { StatusService } from "../../gen/nexus/v1/status_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";
import type { Action } from "../../model/access/access_table.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { connectionOfRoute } from "./check_message.js";

/** What an RPC is to the policy. */
export interface RpcAccess {
  readonly action: Action;
  /** What a request asks for; undefined where the answer is filtered, or the RPC is of no resource. */
  readonly asked: ((request: Message) => Asked) | undefined;
}

const rows = new Map<string, RpcAccess>();

function row<I extends DescMessage>(
  method: DescMethodUnary<I, DescMessage> | DescMethodServerStreaming<I, DescMessage>,
  action: Action,
  asked?: (request: MessageShape<I>) => Asked,
): void {
  rows.set(rpcName(method), { action, asked: asked as RpcAccess["asked"] });
}

/** An RPC whose requests are a stream: what it answers must be filtered. */
function filteredStream(method: DescMethodBiDiStreaming, action: Action): void {
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
row(providers.createProvider, "provider.manage");
row(providers.getProvider, "provider.read", ({ key }) => ({
  kind: "provider",
  provider: key.case === "name" ? { name: key.value } : { id: key.value ?? "" },
}));
row(providers.listProviders, "provider.read");
row(providers.updateProvider, "provider.manage");
row(providers.deleteProvider, "provider.manage");
row(providers.listProviderTemplates, "template.read");

const { method: connections } = ConnectionService;
row(connections.requestConnection, "connection.request", ({ connectionId, userId, provider }) => ({
  kind: "request",
  connectionId: connectionId === "" ? undefined : connectionId,
  userId,
  provider: providerKey(provider),
}));
row(connections.confirmConnection, "connection.request", connectionOf);
row(connections.getConnection, "connection.read", connectionOf);
row(connections.listConnections, "connection.read");
row(connections.watchConnections, "connection.read");
row(connections.refreshConnection, "connection.manage", connectionOf);
row(connections.revokeConnection, "connection.manage", connectionOf);
row(connections.deleteConnection, "connection.manage", connectionOf);
row(connections.replaceCredential, "connection.manage", connectionOf);
row(connections.getCaptureSchema, "connection.capture", stateOf);
row(connections.captureCredential, "connection.capture", stateOf);
row(connections.importConnection, "connection.import", ({ userId, providerId }) => ({
  kind: "request",
  connectionId: undefined,
  userId,
  provider: { id: providerId },
}));

const { method: tokens } = TokenService;
row(tokens.acquireToken, "token.read", ({ providerName, userId, label, mcpServerUrl }) => ({
  kind: "acquired",
  name: { providerName, userId, label },
  mcpServerUrl,
}));
row(tokens.getToken, "token.read", connectionOf);
row(tokens.refreshToken, "token.read", connectionOf);
row(tokens.reportRejectedToken, "token.read", connectionOf);
row(tokens.createProof, "token.read", connectionOf);
row(tokens.watchTokens, "token.read");

row(AuditService.method.listAuditEvents, "audit.read");
row(AuditService.method.verifyAuditLog, "audit.read");

row(StatusService.method.getStatus, "status.read");
row(StatusService.method.getActivity, "status.read");
row(StatusService.method.listOpenStreams, "status.read");
row(NotificationService.method.testReceivers, "notification.test");

row(AccessService.method.createApiKey, "key.manage");
row(AccessService.method.listApiKeys, "key.manage");
row(AccessService.method.revokeApiKey, "key.manage");
row(AccessService.method.explainAccess, "policy.read");
row(AccessService.method.whoAmI, "self.read");

row(ConsoleService.method.createConsoleLink, "console.open");

// The RPCs behind these judge the resource again, with ids that are brought into their own form.
row(NexusService.method.requestConnection, "connection.request");
row(NexusService.method.checkConnection, "connection.read");
row(NexusService.method.getToken, "token.read");
row(NexusService.method.refreshConnection, "token.read");

// What is not within the caller's restriction is as what does not exist: an empty secret.
row(SecretDiscoveryService.method.fetchSecrets, "token.read");
filteredStream(SecretDiscoveryService.method.streamSecrets, "token.read");

row(Authorization.method.check, "token.read", (request) => {
  const key = connectionOfRoute(request);
  return key && "name" in key
    ? { kind: "named", name: key.name }
    : { kind: "connection", connectionId: key?.id ?? "" };
});

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
export function rpcName({ parent, name }: Pick<DescMethod, "parent" | "name">): string {
  return `${parent.typeName}/${name}`;
}

type RequestedProvider =
  | { case: "providerId" | "providerName"; value: string }
  | { case: undefined; value?: undefined };

function providerKey(provider: RequestedProvider): ProviderKey | undefined {
  if (provider.case === undefined) return undefined;
  return provider.case === "providerId" ? { id: provider.value } : { name: provider.value };
}
