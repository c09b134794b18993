import {
  ConnectionService,
  type ConnectionServiceRequestConnectionResponse,
} from "../../gen/nexus/v1/connection_pb.js";
import { TokenService } from "../../gen/nexus/v1/token_pb.js";
import type { ConnectionStatus } from "../../model/connections/connection.js";
import type { JsonObject } from "../../model/json.js";
import { statusOf } from "../../service/messages/connection_message.js";
import type { Call } from "../../service/pipeline/rpc_call.js";
import { idOf } from "./input.js";
import { tokenJson } from "./token_json.js";

/** What the existing contract asks for over REST and over gRPC alike, in the RPCs of the new one. */
export interface LegacyConnectionRequest {
  readonly userId: string;
  /** Counts when both are set, as in the existing gateway. */
  readonly providerId: string;
  readonly providerName: string;
  readonly scopes: readonly string[];
  readonly returnUrl: string;
  readonly requireConfirmation: boolean;
}

export function requestConnection(
  call: Call,
  request: LegacyConnectionRequest,
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

function providerOf({ providerId, providerName }: LegacyConnectionRequest) {
  const id = idOf(providerId);
  if (id !== "") return { case: "providerId" as const, value: id };
  const name = providerName.trim();
  return name === "" ? { case: undefined } : { case: "providerName" as const, value: name };
}

/** The statuses that clients of the existing Nexus know: `WaitForActive` polls until `active` or `failed`. */
export const legacyStatuses = ["pending", "active", "failed"] as const;
type LegacyStatus = (typeof legacyStatuses)[number];

/** `failed` for `attention`, `revoked` and `expired` too: for each of them a new consent is the next step. */
export async function checkConnection(
  call: Call,
  connectionId: string,
): Promise<{ readonly status: LegacyStatus; readonly state: ConnectionStatus }> {
  const { connection } = await call(ConnectionService.method.getConnection, {
    connectionId: idOf(connectionId),
  });
  const state = connection && statusOf(connection.status);
  if (!state) throw new Error("a connection without a status");
  return { status: state === "active" || state === "pending" ? state : "failed", state };
}

export async function getToken(call: Call, connectionId: string, nowMs: number): Promise<JsonObject> {
  const { token } = await call(TokenService.method.getToken, { connectionId: idOf(connectionId) });
  return tokenJson(token, nowMs);
}

export async function refreshConnection(
  call: Call,
  connectionId: string,
  nowMs: number,
): Promise<JsonObject> {
  const { token } = await call(TokenService.method.refreshToken, { connectionId: idOf(connectionId) });
  return tokenJson(token, nowMs);
}
