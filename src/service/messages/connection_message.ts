import { create } from "@bufbuild/protobuf";
import type { ConnectionEvent } from "../../domain/reading/reading.js";
import {
  type Account as AccountMessage,
  AccountSchema,
  type Connection as ConnectionMessage,
  ConnectionSchema,
  type Problem as ProblemMessage,
  ProblemSchema,
  type ConnectionStatus as Status,
  type WatchConnectionsResponse,
  WatchConnectionsResponseSchema,
} from "../../gen/nexus/v1/connection_pb.js";
import {
  type Connection,
  type ConnectionStatus,
  connectionStatuses,
  type Problem,
  problemSentence,
} from "../../model/connections/connection.js";
import { providerRevocations } from "../../model/connections/revocation.js";
import type { Account } from "../../model/credentials/account.js";
import { present, timestampOf } from "./timestamps.js";

/** By the numbers of the enum, from 1. */
export const statusMessages = Object.fromEntries(
  connectionStatuses.map((status, index) => [status, index + 1]),
) as Readonly<Record<ConnectionStatus, Status>>;

export function connectionStatusOf(message: Status): ConnectionStatus | undefined {
  return connectionStatuses[message - 1];
}

export function problemMessage(problem: Problem): ProblemMessage {
  return create(
    ProblemSchema,
    present({
      reason: problem.reason,
      message: problemSentence(problem),
      since: timestampOf(problem.sinceMs),
      retryAt: timestampOf(problem.retryAtMs),
    }),
  );
}

export function accountMessage(account: Account | undefined): AccountMessage | undefined {
  if (!account) return undefined;
  const { subject, name, email, login } = account;
  return create(AccountSchema, { subject, name, email, login });
}

export function connectionMessage(connection: Connection): ConnectionMessage {
  const { refusedConsent } = connection;
  return create(
    ConnectionSchema,
    present({
      id: connection.id,
      userId: connection.userId,
      providerId: connection.providerId,
      providerName: connection.providerName,
      label: connection.label,
      status: statusMessages[connection.status],
      revision: connection.credentialRevision,
      requestedScopes: [...connection.requestedScopes],
      grantedScopes: [...connection.grantedScopes],
      expiresAt: timestampOf(connection.expiresAtMs),
      refreshNotBefore: timestampOf(connection.refreshNotBeforeMs),
      problem: connection.problem && problemMessage(connection.problem),
      requestProblem:
        refusedConsent &&
        problemMessage({ ...refusedConsent, sinceMs: refusedConsent.refusedAtMs, retryAtMs: undefined }),
      createdAt: timestampOf(connection.createdAtMs),
      updatedAt: timestampOf(connection.updatedAtMs),
      requestExpiresAt: timestampOf(connection.requestExpiresAtMs),
      refreshable: connection.refreshable,
      metadata: { ...connection.metadata },
      account: accountMessage(connection.account),
      issuedAt: timestampOf(connection.issuedAtMs),
      refreshExpiresAt: timestampOf(connection.refreshExpiresAtMs),
      awaitingConfirmation: connection.awaitingConfirmation === true,
      // By the numbers of the enum, from 1.
      providerRevocation:
        connection.providerRevocation && providerRevocations.indexOf(connection.providerRevocation) + 1,
    }),
  );
}

export function watchConnectionsMessage(event: ConnectionEvent): WatchConnectionsResponse {
  return create(WatchConnectionsResponseSchema, {
    event: event.connection
      ? { case: "connection", value: connectionMessage(event.connection) }
      : { case: "removedConnectionId", value: event.connectionId },
  });
}
