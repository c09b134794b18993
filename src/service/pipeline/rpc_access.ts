import { type DescMethod, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { type Duration, durationMs } from "@bufbuild/protobuf/wkt";
import type { RequestedResource } from "../../domain/access/access.js";
import { Resource, type Rpc, rpc as rpcOption } from "../../gen/nexus/rpc/v1/options_pb.js";
import { type Action, isAction } from "../../model/access/access_table.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import type { ProviderKey } from "../../model/providers/provider_profile.js";

type DescribedOptions = Omit<Rpc, keyof Message | "action" | "resource">;

/**
 * One RPC, described once: all that happens around its service, and the daemon that carries it out, follow from it. The options that are
 * left out are as those of an RPC that the daemon that is called carries out, and that writes nothing.
 */
export interface RpcDescription extends Readonly<Partial<DescribedOptions>> {
  readonly action: Action;
  /** What a request asks for; undefined where the answer is filtered, or the RPC is of no resource. */
  readonly resourceOf?: ((request: Message) => RequestedResource) | undefined;
  /** The connection and the revision of the token that an answer shows, where no field of ours has them. */
  shows?(answer: Message): {
    readonly connectionId: string | undefined;
    readonly revision: bigint | undefined;
  };
}

/** The options of an RPC (`nexus/rpc/v1/options.proto`); undefined for one that has none. */
export function rpcOptions(method: DescMethod): Rpc | undefined {
  return hasOption(method, rpcOption) ? getOption(method, rpcOption) : undefined;
}

/** What its options say of an RPC; undefined where they are missing, or leave the action or the resource open. */
export function describedRpc(method: DescMethod): RpcDescription | undefined {
  const options = rpcOptions(method);
  if (options === undefined) return undefined;
  const { action, resource } = options;
  // A typing error in a proto opens nothing.
  if (!isAction(action) || !(resource in resourcesOf)) return undefined;
  return { ...options, action, resourceOf: resourcesOf[resource] };
}

/**
 * The action of an RPC that these services have.
 *
 * @param rpc `TokenService/GetToken`, with or without its package
 */
export function actionOfRpc(
  services: readonly { readonly methods: readonly DescribedMethod[] }[],
  rpc: string,
): Action | undefined {
  const full = rpc.startsWith("nexus.v1.") ? rpc : `nexus.v1.${rpc}`;
  const methods = services.flatMap((service) => service.methods);
  return methods.find(({ descriptor }) => rpcName(descriptor) === full)?.rpc?.action;
}

interface DescribedMethod {
  readonly descriptor: DescMethod;
  readonly rpc?: RpcDescription | undefined;
}

/** Whether the caller of an RPC whose option is `waits` means to wait. */
export function hasWait(request: Message): boolean {
  const { wait } = request as { wait?: Duration };
  return wait !== undefined && durationMs(wait) > 0;
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

const resourcesOf: Readonly<Partial<Record<Resource, RpcDescription["resourceOf"]>>> = {
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

function named(read: (fields: NamingFields) => RequestedResource): (request: Message) => RequestedResource {
  return (request) => read(request as NamingFields);
}

function providerKey({ provider, providerId }: NamingFields): ProviderKey | undefined {
  if (providerId !== undefined) return { id: providerId };
  if (provider?.case === undefined) return undefined;
  return provider.case === "providerId" ? { id: provider.value } : { name: provider.value };
}
