import { clone, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { View } from "../../domain/access/access_control.js";
import type { CheckRequest, CheckResponse } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import type {
  Connection,
  ConnectionServiceRequestConnectionResponse,
  ListConnectionsResponse,
} from "../../gen/nexus/v1/connection_pb.js";
import type { GetProviderResponse, ListProvidersResponse } from "../../gen/nexus/v1/provider_pb.js";
import type { AcquireTokenRequest, AcquireTokenResponse, Token } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/principal.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { NotFound, Unavailable } from "../../model/errors.js";
import { connectionOfRoute, metadataFields, routeFields } from "../pipeline/check_message.js";

/** What callers of a spoke see of its copy. */
export interface CallersSight {
  /** The connection that a name is to a caller; undefined when it sees none of that name. */
  connectionOf(name: ConnectionName, caller: Principal): string | undefined;
  /** The name of the connection that a request is for, whose provider may be named by its MCP server; undefined when that is not known here. */
  nameOf(request: AcquireTokenRequest): ConnectionName | undefined;
  /** Id of the provider of a name; undefined when it is not known here. */
  providerOf(name: ConnectionName): string | undefined;
  viewOf(caller: Principal): View;
  /** What the copy has of a connection. */
  tokenOf(connectionId: string): Pick<Token, "revision" | "credentials"> | undefined;
}

const checks = "envoy.service.auth.v3.CheckRequest";
const acquires = "nexus.v1.AcquireTokenRequest";

/**
 * A hub finds by a name what its own caller sees, in an order of its own: so it is asked for the connection that the name is here, to this
 * caller. Names that are none here stay as they are.
 *
 * @throws NotFound when the caller may see a part only, and nothing of that name
 */
export function withoutName(
  input: DescMessage,
  request: Message,
  sight: CallersSight,
  caller: Principal,
): Message {
  const name = nameIn(request);
  if (name === undefined) return request;
  const id = sight.connectionOf(name, caller);
  if (id === undefined) {
    if (sight.viewOf(caller).isRestricted) throw new NotFound("connection");
    return request;
  }
  const resolved = clone(input, request);
  if (request.$typeName === checks) {
    const { attributes } = resolved as CheckRequest;
    if (attributes) attributes.contextExtensions[routeFields.connection] = id;
  } else Object.assign(resolved, { connectionId: id, name: undefined });
  return resolved;
}

function nameIn(request: Message): ConnectionName | undefined {
  if (request.$typeName === checks) {
    const key = connectionOfRoute(request as CheckRequest);
    return key && "name" in key ? key.name : undefined;
  }
  // Profiles have names too, which are texts.
  const { name } = request as { name?: ConnectionName | string };
  return typeof name === "object" ? name : undefined;
}

/** What an answer tells of connections; none has all of it. */
interface Said {
  readonly connection?: Connection;
  readonly connectionId?: string;
  readonly providerId?: string;
  readonly provider?: GetProviderResponse["provider"];
  readonly dynamicMetadata?: CheckResponse["dynamicMetadata"];
  readonly result?: AcquireTokenResponse["result"];
}

/** The connection that an answer is of; undefined where it says of none. */
export function connectionIn(answer: Message): string | undefined {
  const { connection, connectionId, dynamicMetadata, result } = answer as Said;
  const consented = result?.case === "consent" ? result.value.connectionId : undefined;
  const injected = dynamicMetadata?.[metadataFields.connectionId];
  const id = connection?.id ?? (connectionId || consented || injected);
  return typeof id === "string" ? id : undefined;
}

/**
 * Takes from lists what a caller of the spoke may not see, and refuses the answer that is of such a connection or provider: the hub judged
 * by what the spoke may see.
 *
 * @throws NotFound; Unavailable when it cannot be judged yet
 */
export function confine(request: Message, answer: Message, sight: CallersSight, caller: Principal): void {
  const view = sight.viewOf(caller);
  if (!view.isRestricted) return;
  if (answer.$typeName === "nexus.v1.ListConnectionsResponse") {
    const list = answer as ListConnectionsResponse;
    list.connections = list.connections.filter((connection) => view.seesConnection(connection));
  }
  if (answer.$typeName === "nexus.v1.ListProvidersResponse") {
    const list = answer as ListProvidersResponse;
    list.providers = list.providers.filter((provider) => view.seesProvider(provider));
  }
  const { connection, provider, result } = answer as Said;
  if (answer.$typeName === "nexus.v1.GetProviderResponse" && provider && !view.seesProvider(provider))
    throw new NotFound("provider");
  if (connection && !view.seesConnection(connection)) throw new NotFound("connection");
  const connectionId = connectionIn(answer);
  if (connectionId !== undefined && !connection) {
    const asked = factsOf(request, answer, sight);
    if (!view.seesChange({ connectionId, ...asked })) throw new NotFound("connection");
  }
  if (result?.case === "token") confineToken(request as AcquireTokenRequest, result.value, sight, caller);
}

/** Of a connection that the copy does not have: whose it must be, by what was asked. */
function factsOf(request: Message, answer: Message, sight: CallersSight) {
  const { userId = "" } = request as { userId?: string };
  const { providerId } = answer as Partial<ConnectionServiceRequestConnectionResponse>;
  if (providerId !== undefined) return { userId, providerId };
  const name = request.$typeName === acquires ? sight.nameOf(request as AcquireTokenRequest) : undefined;
  return { userId, providerId: (name && sight.providerOf(name)) ?? "" };
}

/** The answer does not say of which connection it is: it must be the token of the one that the name is to this caller. */
function confineToken(
  request: AcquireTokenRequest,
  token: Token,
  sight: CallersSight,
  caller: Principal,
): void {
  const name = sight.nameOf(request);
  const id = name && sight.connectionOf(name, caller);
  if (id === undefined) throw new NotFound("connection");
  const copied = sight.tokenOf(id);
  if (copied === undefined || copied.revision < token.revision)
    throw new Unavailable("the hub has given a token that this spoke has not copied yet: ask again", 1_000);
  const isSame = Object.entries(token.credentials).every(([key, value]) => copied.credentials[key] === value);
  if (copied.revision !== token.revision || !isSame) throw new NotFound("connection");
}
