import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionView, CurrentToken } from "../../domain/connections/connections.js";
import type { LinkAnswer, WatchEvent } from "../../domain/reading/reading.js";
import {
  type ConsentRequired,
  ConsentRequiredSchema,
  type Token,
  TokenSchema,
  TokenStateSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../gen/nexus/v1/token_pb.js";
import { strategyMessage } from "../../model/providers/strategy_message.js";
import { accountMessage, problemMessage, statusMessages } from "./connection_message.js";
import { present, timestampOf } from "./timestamps.js";

export function tokenMessage(token: CurrentToken, withIdToken = false): Token {
  return create(
    TokenSchema,
    present({
      strategy: strategyMessage(token.strategy),
      credentials: { ...token.credentials },
      expiresAt: timestampOf(token.expiresAtMs),
      refreshNotBefore: timestampOf(token.refreshNotBeforeMs),
      grantedScopes: [...token.grantedScopes],
      revision: token.revision,
      tokenType: token.tokenType,
      idToken: withIdToken ? token.idToken : undefined,
    }),
  );
}

export function consentMessage({ link, reason }: LinkAnswer): ConsentRequired {
  const { authUrl, connectionId, expiresAtMs, device } = link;
  const expiresAt = timestampFromMs(expiresAtMs);
  return create(ConsentRequiredSchema, { authUrl, connectionId, expiresAt, reason, ...device });
}

export function watchMessage(event: WatchEvent): WatchTokensResponse {
  return create(WatchTokensResponseSchema, { event: eventMessage(event) });
}

function eventMessage(event: WatchEvent) {
  switch (event.kind) {
    case "state":
      return { case: "state" as const, value: stateMessage(event.view) };
    case "removed":
      return { case: "removed" as const, value: { connectionId: event.connectionId } };
    case "bookmark":
      return { case: "bookmark" as const, value: { position: { ...event.position } } };
    case "reset":
      return { case: "reset" as const, value: { reason: event.reason } };
    case "drain":
      return { case: "drain" as const, value: { reconnectDelay: durationFromMs(event.reconnectDelayMs) } };
  }
}

function stateMessage({ connection, token, problem }: ConnectionView) {
  return create(
    TokenStateSchema,
    present({
      connectionId: connection.id,
      userId: connection.userId,
      providerId: connection.providerId,
      providerName: connection.providerName,
      label: connection.label,
      status: statusMessages[connection.status],
      revision: connection.credentialRevision,
      token: token && tokenMessage(token),
      problem: problem && problemMessage(problem),
      refreshExpiresAt: timestampOf(connection.refreshExpiresAtMs),
      account: accountMessage(connection.account),
      createdAt: timestampFromMs(connection.createdAtMs),
    }),
  );
}
