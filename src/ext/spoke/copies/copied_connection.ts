import type { Connection } from "../../../model/connections/connection.js";
import { newConnection } from "../../../model/connections/new_connection.js";
import { bearerStrategy } from "../../../model/credentials/strategy.js";
import { connectionEncoder } from "../../../store/records/connection_codec.js";
import type { CopiedState } from "./copied_state.js";

/** A hub does not tell when a token was issued. So long ago, every wish for a longer life is its to judge. */
const issuedMs = 1;

/**
 * The record of a connection in a copy. Whether it can be refreshed is the hub's to say: here every one counts as refreshable, so that
 * whoever finds no living token is led there.
 */
export function copiedConnection(
  state: CopiedState,
  before: Connection | undefined,
  nowMs: number,
): Connection {
  const { token, providerId, providerName, problem, revision } = state;
  const profile = { id: providerId, name: providerName, strategy: bearerStrategy };
  const base = before ?? newConnection(state.connectionId, state, profile, nowMs);
  const expiresAtMs = token ? token.expiresAtMs : Math.min(base.expiresAtMs ?? nowMs, nowMs);
  return {
    ...base,
    // Names find connections in the order in which the hub made them.
    createdAtMs: state.createdAtMs ?? base.createdAtMs,
    userId: state.userId,
    providerId,
    providerName,
    label: state.label,
    status: state.status,
    credentialRevision: revision,
    grantedScopes: token?.grantedScopes ?? base.grantedScopes,
    expiresAtMs,
    issuedAtMs: issuedMs,
    refreshable: true,
    refreshNotBeforeMs: token?.refreshNotBeforeMs,
    problem,
    updatedAtMs: nowMs,
    dueAtMs: token && expiresAtMs !== undefined && expiresAtMs > nowMs ? expiresAtMs : undefined,
    strategy: token?.strategy ?? base.strategy,
    refreshExpiresAtMs: state.refreshExpiresAtMs,
    account: state.account,
  };
}

/** Whether two records say the same, whenever they were written. */
export function isSameRecord(one: Connection, other: Connection): boolean {
  return Buffer.compare(timeless(one), timeless(other)) === 0;
}

function timeless(connection: Connection): Uint8Array {
  return connectionEncoder({ ...connection, updatedAtMs: 1 })(1n);
}
