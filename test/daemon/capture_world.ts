import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { AuthType, type ProviderSchema } from "../../src/gen/nexus/v1/provider_pb.js";
import type { StrategySchema } from "../../src/gen/nexus/v1/strategy_pb.js";
import type { World } from "./harness.js";
import { registered, requestOf } from "./requests.js";

export interface StaticCase {
  readonly name: string;
  readonly authType: AuthType;
  readonly strategy?: MessageInitShape<typeof StrategySchema>;
  readonly fields: JsonObject;
  /** Where the credential lands in a request without a body. */
  readonly header?: readonly [string, string | RegExp];
  readonly target?: string;
}

/** One of every static type and strategy. */
export const staticCases: readonly StaticCase[] = [
  {
    name: "api-key-bearer",
    authType: AuthType.API_KEY,
    strategy: { kind: { case: "header", value: { headerName: "Authorization" } } },
    fields: { api_key: "k-1" },
    header: ["authorization", "Bearer k-1"],
  },
  {
    name: "api-key-query",
    authType: AuthType.API_KEY,
    strategy: { kind: { case: "queryParam", value: { paramName: "key" } } },
    fields: { api_key: "k&1" },
    target: "/v1/me?key=k%261",
  },
  {
    name: "basic",
    authType: AuthType.BASIC_AUTH,
    fields: { username: "ada", password: "" },
    header: ["authorization", "Basic YWRhOg=="],
  },
  {
    name: "header",
    authType: AuthType.HEADER,
    strategy: { kind: { case: "header", value: { headerName: "X-Key", credentialField: "key" } } },
    fields: { key: "k-2" },
    header: ["x-key", "k-2"],
  },
  {
    name: "query",
    authType: AuthType.QUERY_PARAM,
    strategy: { kind: { case: "queryParam", value: { paramName: "token" } } },
    fields: { api_key: "q" },
    target: "/v1/me?token=q",
  },
  {
    name: "hmac",
    authType: AuthType.HMAC_PAYLOAD,
    strategy: { kind: { case: "hmacPayload", value: { headerName: "X-Sign" } } },
    fields: { api_secret: "s" },
    header: ["x-sign", /^[0-9a-f]{64}$/],
  },
  {
    name: "aws",
    authType: AuthType.AWS_SIGV4,
    strategy: { kind: { case: "awsSigv4", value: { service: "execute-api" } } },
    fields: { access_key: "AKID", secret_key: "s", session_token: "t" },
    header: ["authorization", /^AWS4-HMAC-SHA256 Credential=AKID\/.*, Signature=[0-9a-f]{64}$/],
  },
];

/** Registers a static provider; answers its id. */
export function registerStatic(world: World, provider: MessageInitShape<typeof ProviderSchema>) {
  return registered(world.clients, { authType: AuthType.API_KEY, ...provider } as typeof provider);
}

export function requestStatic(
  world: World,
  providerId: string,
  more: { connectionId?: string; returnUrl?: string; scopes?: string[] } = {},
) {
  return world.clients.connections.requestConnection(requestOf(providerId, more));
}

/** Captures by the API; answers the id of the connection. */
export async function captureStatic(
  world: World,
  providerId: string,
  credentials: JsonObject,
): Promise<string> {
  const { state, connectionId } = await requestStatic(world, providerId);
  await world.clients.connections.captureCredential({ state, credentials });
  return connectionId;
}
