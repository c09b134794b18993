import {
  type DescMessage,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  getOption,
  hasOption,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { Asked } from "../../domain/access/request_gate.js";
import { Resource, type Rpc, rpc as rpcOption } from "../../gen/nexus/rpc/v1/options_pb.js";
import { type Action, isAction } from "../../model/access/access_table.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import type { ProviderKey } from "../../model/providers/provider_profile.js";

/** What an RPC is to the policy. */
export interface RpcAccess {
  readonly action: Action;
  /** What a request asks for; undefined where the answer is filtered, or the RPC is of no resource. */
  readonly asked: ((request: Message) => Asked) | undefined;
}

/** RPCs of protos that are not ours, by their names. */
const foreign = new Map<string, RpcAccess>();

/** What an RPC of a proto that is not ours is to the policy. Those of `nexus.v1` have it in their options. */
export function rpcRow<I extends DescMessage>(
  method: DescMethodUnary<I, DescMessage> | DescMethodServerStreaming<I, DescMessage>,
  action: Action,
  asked?: (request: MessageShape<I>) => Asked,
): void {
  foreign.set(rpcName(method), { action, asked: asked as RpcAccess["asked"] });
}

/** An RPC whose requests are a stream: what it answers must be filtered. */
export function filteredStream(method: DescMethodBiDiStreaming, action: Action): void {
  foreign.set(rpcName(method), { action, asked: undefined });
}

/** The options of an RPC (`nexus/rpc/v1/options.proto`); undefined for one that has none. */
export function rpcOptions(method: DescMethod): Rpc | undefined {
  return hasOption(method, rpcOption) ? getOption(method, rpcOption) : undefined;
}

/** Undefined for an RPC without options or row: it is the admin's alone. */
export function rpcAccess(method: DescMethod): RpcAccess | undefined {
  const options = rpcOptions(method);
  if (options === undefined) return foreign.get(rpcName(method));
  const { action, resource } = options;
  // A typing error in a proto opens nothing.
  return isAction(action) && resource in asked ? { action, asked: asked[resource] } : undefined;
}

/**
 * The action of an RPC that these services have.
 *
 * @param rpc `TokenService/GetToken`, with or without its package
 */
export function actionOfRpc(
  services: readonly { readonly descriptor: DescService }[],
  rpc: string,
): Action | undefined {
  const full = rpc.startsWith("nexus.v1.") ? rpc : `nexus.v1.${rpc}`;
  const methods = services.flatMap(({ descriptor }) => descriptor.methods);
  const method = methods.find((each) => rpcName(each) === full);
  return method && rpcAccess(method)?.action;
}

/** `nexus.v1.TokenService/GetToken` */
export function rpcName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** The fields that name a resource, whatever message has them. */
interface NamingFields {
  readonly connectionId?: string;
  readonly name?: ConnectionName;
  readonly key?: { case: "id" | "name"; value: string } | { case: undefined; value?: undefined };
  readonly state?: string;
  readonly userId?: string;
  readonly label?: string;
  readonly providerName?: string;
  readonly mcpServerUrl?: string;
  readonly providerId?: string;
  readonly provider?:
    | { case: "providerId" | "providerName"; value: string }
    | { case: undefined; value?: undefined };
}

const asked: Readonly<Partial<Record<Resource, RpcAccess["asked"]>>> = {
  [Resource.NONE]: undefined,
  [Resource.PROVIDER]: named(({ key }) => ({
    kind: "provider",
    provider: key?.case === "name" ? { name: key.value } : { id: key?.value ?? "" },
  })),
  [Resource.CONNECTION]: named(({ connectionId = "", name }) =>
    name && connectionId === "" ? { kind: "named", name } : { kind: "connection", connectionId },
  ),
  [Resource.ACQUIRED_CONNECTION]: named(
    ({ providerName = "", userId = "", label = "", mcpServerUrl = "" }) => ({
      kind: "acquired",
      name: { providerName, userId, label },
      mcpServerUrl,
    }),
  ),
  [Resource.REQUESTED_CONNECTION]: named(({ connectionId = "", userId = "", label = "", ...of }) => ({
    kind: "request",
    connectionId: connectionId === "" ? undefined : connectionId,
    userId,
    label,
    provider: providerKey(of),
  })),
  [Resource.AUTHORIZATION]: named(({ state = "" }) => ({ kind: "state", state })),
};

function named(read: (fields: NamingFields) => Asked): (request: Message) => Asked {
  return (request) => read(request as NamingFields);
}

function providerKey({ provider, providerId }: NamingFields): ProviderKey | undefined {
  if (providerId !== undefined) return { id: providerId };
  if (provider?.case === undefined) return undefined;
  return provider.case === "providerId" ? { id: provider.value } : { name: provider.value };
}
