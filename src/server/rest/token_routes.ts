import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";
import { preconditionOf, RestRefusal } from "../../service/pipeline/rest_error.js";
import type { Call } from "../../service/pipeline/rpc_call.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { getToken, refreshConnection } from "./gateway_calls.js";
import { authTypeOf } from "./provider_json.js";
import { alias, answer, idOf, type RestRoute, routeOf } from "./route.js";

const get = routeOf(TokenService.method.getToken, {
  operationId: "getToken",
  summary: "Reads the current token of a connection",
  tag: "tokens",
  success: { status: 200, schema: "Token" },
  errors: [404, 409],
  async handle({ params, nowMs }, call) {
    return answer(await getToken(call, idOf(params["id"]), nowMs));
  },
});

const refresh = routeOf(TokenService.method.refreshToken, {
  operationId: "refreshConnection",
  summary: "Refreshes now, and reads the new token",
  tag: "tokens",
  success: { status: 200, schema: "Token" },
  errors: [404, 409],
  async handle({ params, nowMs }, call) {
    const id = idOf(params["id"]);
    try {
      return answer(await refreshConnection(call, id, nowMs));
    } catch (error) {
      if (preconditionOf(error) === "NOT_REFRESHABLE" && (await isStatic(call, id))) {
        throw new RestRefusal(
          400,
          "static_token",
          "a static credential does not expire and is not refreshed",
        );
      }
      throw error;
    }
  },
});

export const tokenRoutes: readonly RestRoute[] = [get, refresh, alias(get), alias(refresh)];

/** Whether the connection's provider is of a static type; not known any more once it is deleted. */
async function isStatic(call: Call, connectionId: string): Promise<boolean> {
  const { connection } = await call(ConnectionService.method.getConnection, { connectionId });
  try {
    const { provider } = await call(ProviderService.method.getProvider, {
      key: { case: "id", value: connection?.providerId ?? "" },
    });
    return provider !== undefined && authTypeOf(provider) !== "oauth2";
  } catch (error) {
    if (error instanceof WireError && error.code === codes.not_found) return false;
    throw error;
  }
}
