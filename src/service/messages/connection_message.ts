import { create } from "@bufbuild/protobuf";
import {
  type Connection as ConnectionMessage,
  ConnectionSchema,
  type Problem as ProblemMessage,
  ProblemSchema,
  ProviderRevocation,
  ConnectionStatus as Status,
} from "../../gen/nexus/v1/connection_pb.js";
import {
  type Connection,
  type ConnectionStatus,
  type Problem,
  problemSentence,
} from "../../model/connections/connection.js";
import { present, timestampOf } from "./timestamps.js";

export const statusMessages: Readonly<Record<ConnectionStatus, Status>> = {
  pending: Status.PENDING,
  active: Status.ACTIVE,
  attention: Status.ATTENTION,
  revoked: Status.REVOKED,
  expired: Status.EXPIRED,
  failed: Status.FAILED,
};

const revocationMessages = {
  not_needed: ProviderRevocation.NOT_NEEDED,
  pending: ProviderRevocation.PENDING,
  done: ProviderRevocation.DONE,
  not_possible: ProviderRevocation.NOT_POSSIBLE,
} as const;

export function statusOf(message: Status): ConnectionStatus | undefined {
  return (Object.keys(statusMessages) as ConnectionStatus[]).find(
    (status) => statusMessages[status] === message,
  );
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

export function connectionMessage(connection: Connection): ConnectionMessage {
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
      createdAt: timestampOf(connection.createdAtMs),
      updatedAt: timestampOf(connection.updatedAtMs),
      requestExpiresAt: timestampOf(connection.requestExpiresAtMs),
      refreshable: connection.refreshable,
      metadata: { ...connection.metadata },
      refreshExpiresAt: timestampOf(connection.refreshExpiresAtMs),
      awaitingConfirmation: connection.awaitingConfirmation === true,
      providerRevocation: connection.providerRevocation && revocationMessages[connection.providerRevocation],
    }),
  );
}
