import { create, type Message } from "@bufbuild/protobuf";
import {
  ConnectionService,
  type ConnectionServiceRequestConnectionResponse,
} from "../../gen/nexus/v1/connection_pb.js";
import {
  CheckConnectionResponseSchema,
  GetTokenResponseSchema,
  NexusService,
  RefreshConnectionResponseSchema,
  type RequestConnectionRequest,
  RequestConnectionResponseSchema,
} from "../../gen/nexus/v1/nexus_pb.js";
import { type Token, TokenService } from "../../gen/nexus/v1/token_pb.js";
import type { ConnectionStatus } from "../../model/connections/connection.js";
import { strategyConfig } from "../../model/credentials/strategy_config.js";
import type { JsonObject } from "../../model/json.js";
import { strategyOf } from "../../model/providers/strategy_message.js";
import { connectionStatusOf } from "../../service/messages/connection_message.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { type Call, callerOf } from "../../service/pipeline/rpc_call.js";
import { defineService, type ServiceDefinition } from "../../service/pipeline/service_definition.js";
import { idOf } from "./route.js";

/** What the Nexus contract asks for over REST and over gRPC alike; `providerId` counts where both are set, as in the Nexus gateway. */
type GatewayConnectionRequest = Omit<RequestConnectionRequest, keyof Message | "action">;

export function requestConnection(
  call: Call,
  request: GatewayConnectionRequest,
): Promise<ConnectionServiceRequestConnectionResponse> {
  const { userId, returnUrl, requireConfirmation } = request;
  return call(ConnectionService.method.requestConnection, {
    userId,
    returnUrl,
    requireConfirmation,
    scopes: [...new Set(request.scopes.map((scope) => scope.trim()).filter((scope) => scope !== ""))],
    provider: providerOf(request),
  });
}

function providerOf({ providerId, providerName }: GatewayConnectionRequest) {
  const id = idOf(providerId);
  if (id !== "") return { case: "providerId" as const, value: id };
  const name = providerName.trim();
  return name === "" ? { case: undefined } : { case: "providerName" as const, value: name };
}

/** The statuses that clients of Nexus know: `WaitForActive` polls until `active` or `failed`. */
type GatewayStatus = "pending" | "active" | "failed";

/** `failed` for `attention`, `revoked` and `expired` too: for each of them a new consent is the next step. */
export async function checkConnection(
  call: Call,
  connectionId: string,
): Promise<{ readonly status: GatewayStatus; readonly state: ConnectionStatus }> {
  const { connection } = await call(ConnectionService.method.getConnection, {
    connectionId: idOf(connectionId),
  });
  const state = connection && connectionStatusOf(connection.status);
  if (!state) throw new Error("a connection without a status");
  return { status: state === "active" || state === "pending" ? state : "failed", state };
}

export async function getToken(call: Call, connectionId: string, nowMs: number): Promise<JsonObject> {
  const { token } = await call(TokenService.method.getToken, {
    connectionId: idOf(connectionId),
    includeIdToken: true,
  });
  return tokenJson(token, nowMs);
}

export async function refreshConnection(
  call: Call,
  connectionId: string,
  nowMs: number,
): Promise<JsonObject> {
  const { token } = await call(TokenService.method.refreshToken, {
    connectionId: idOf(connectionId),
    includeIdToken: true,
  });
  return tokenJson(token, nowMs);
}

/** 9999-12-31T23:59:59Z. Clients of Nexus take a static credential without an end as expired. */
const neverSeconds = 253_402_300_799;

/**
 * A token as the Nexus contract writes it: for `oauth2` with the members of `credentials` laid flat at the root too. At the root
 * `expires_at` is in Unix seconds and `expires_in` in seconds from now; in `credentials` `expires_at` is RFC 3339. Both are absent where
 * the provider of an `oauth2` token did not say when it ends.
 */
function tokenJson(token: Token | undefined, nowMs: number): JsonObject {
  const strategy = strategyOf(token?.strategy);
  if (!token || !strategy) throw new Error("a token without a strategy");
  const type = { type: strategy.kind, config: strategyConfig(strategy) };
  if (strategy.kind !== "oauth2") {
    const expiresAt = token.expiresAt ? Number(token.expiresAt.seconds) : neverSeconds;
    return { strategy: type, credentials: { ...token.credentials }, expires_at: expiresAt };
  }
  const seconds = token.expiresAt && Number(token.expiresAt.seconds);
  const leftSeconds = seconds === undefined ? undefined : Math.floor(seconds - nowMs / 1_000);
  const credentials: JsonObject = {
    ...token.credentials,
    token_type: token.tokenType === "" ? "Bearer" : token.tokenType,
    ...(token.grantedScopes.length > 0 && { scope: token.grantedScopes.join(" ") }),
    ...(token.idToken !== "" && { id_token: token.idToken }),
    ...(seconds !== undefined && {
      expires_at: new Date(seconds * 1_000).toISOString(),
      expired: seconds * 1_000 <= nowMs,
    }),
  };
  return {
    ...credentials,
    strategy: type,
    credentials,
    ...(seconds !== undefined && { expires_at: seconds, expires_in: Math.max(0, leftSeconds ?? 0) }),
  };
}

/** The four RPCs of the Nexus gateway, by the services that took their place. */
export function nexusService(services: readonly BoundService[], nowMs: () => number): ServiceDefinition {
  const callerFor = callerOf(services);
  return defineService(NexusService, {
    async requestConnection(request, context) {
      const { authUrl, state, scopes, providerId, connectionId } = await requestConnection(
        callerFor(context),
        request,
      );
      return create(RequestConnectionResponseSchema, { authUrl, state, scopes, providerId, connectionId });
    },

    async checkConnection({ connectionId }, context) {
      return create(CheckConnectionResponseSchema, await checkConnection(callerFor(context), connectionId));
    },

    async getToken({ connectionId }, context) {
      const token = await getToken(callerFor(context), connectionId, nowMs());
      return create(GetTokenResponseSchema, { token });
    },

    async refreshConnection({ connectionId }, context) {
      const token = await refreshConnection(callerFor(context), connectionId, nowMs());
      return create(RefreshConnectionResponseSchema, { token });
    },
  });
}
