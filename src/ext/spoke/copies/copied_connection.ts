import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { Token, TokenState } from "../../../gen/nexus/v1/token_pb.js";
import { type Connection, newConnection } from "../../../model/connections/connections.js";
import { bearerStrategy } from "../../../model/credentials/credentials.js";
import { type ProblemReason, problemMessages } from "../../../model/model.js";
import { type ProviderProfile, profileSettings, strategyOf } from "../../../model/providers/providers.js";
import { connectionStatusOf, versionOfEtag } from "../../../service/messages/messages.js";
import { connectionEncoder } from "../../../store/store.js";

/** A hub does not report when a token was issued. So long ago, every wish for a longer life is its to judge. */
const issuedMs = 1;

/**
 * The record of a connection in a copy. Whether it can be refreshed is the hub's to say: here every one counts as refreshable, so that
 * a caller that finds no living token is led there. A status or a problem that this version does not know is one that a person must look at.
 */
export function copiedConnection(
  state: TokenState,
  before: Connection | undefined,
  nowMs: number,
): Connection {
  const { token, problem, providerId, providerName, revision, account } = state;
  const profile = { id: providerId, name: providerName, strategy: bearerStrategy };
  const base = before ?? newConnection(state.connectionId, state, profile, nowMs);
  return {
    ...base,
    // Names find connections in the order in which the hub made them.
    createdAtMs: state.createdAt ? timestampMs(state.createdAt) : base.createdAtMs,
    userId: state.userId,
    providerId,
    providerName,
    label: state.label,
    status: connectionStatusOf(state.status) ?? "attention",
    credentialRevision: revision,
    issuedAtMs: issuedMs,
    refreshable: true,
    problem: problem && {
      reason: Object.hasOwn(problemMessages, problem.reason)
        ? (problem.reason as ProblemReason)
        : "reauth_required",
      sinceMs: problem.since ? timestampMs(problem.since) : 1,
      retryAtMs: problem.retryAt && timestampMs(problem.retryAt),
    },
    updatedAtMs: nowMs,
    refreshExpiresAtMs: state.refreshExpiresAt && timestampMs(state.refreshExpiresAt),
    account: account && {
      ...{ subject: account.subject, name: account.name, email: account.email, login: account.login },
      source: "",
    },
    ...(token ? ofToken(token, nowMs) : ofNone(base, nowMs)),
  };
}

/** The same one with a token that a hub gave a caller. */
export function withToken(before: Connection, token: Token, nowMs: number): Connection {
  const { revision: credentialRevision } = token;
  const known = { status: "active", problem: undefined, updatedAtMs: nowMs } as const;
  return { ...before, ...known, credentialRevision, ...ofToken(token, nowMs) };
}

function ofToken({ expiresAt, refreshNotBefore, grantedScopes, strategy }: Token, nowMs: number) {
  const expiresAtMs = expiresAt && timestampMs(expiresAt);
  return {
    grantedScopes,
    expiresAtMs,
    refreshNotBeforeMs: refreshNotBefore && timestampMs(refreshNotBefore),
    dueAtMs: expiresAtMs !== undefined && expiresAtMs > nowMs ? expiresAtMs : undefined,
    strategy: strategyOf(strategy) ?? bearerStrategy,
  };
}

function ofNone({ expiresAtMs = Number.POSITIVE_INFINITY }: Connection, nowMs: number) {
  return { expiresAtMs: Math.min(expiresAtMs, nowMs), refreshNotBeforeMs: undefined, dueAtMs: undefined };
}

/** Whether two records say the same, whenever they were written. */
export function isSameRecord(one: Connection, other: Connection): boolean {
  const [first, second] = [one, other].map((each) => connectionEncoder({ ...each, updatedAtMs: 1 })(1n));
  return Buffer.compare(first ?? Buffer.of(), second ?? Buffer.of()) === 0;
}

/** A profile as a hub shows it, which is without its secret; undefined for one with words that this version does not know. */
export function copiedProfile(message: Provider): ProviderProfile | undefined {
  try {
    return {
      ...profileSettings(message),
      id: message.id,
      clientSecret: undefined,
      createdAtMs: message.createdAt ? timestampMs(message.createdAt) : 1,
      updatedAtMs: message.updatedAt ? timestampMs(message.updatedAt) : 1,
      version: versionOfEtag(message.etag) ?? 1n,
      redirectPath: "",
    };
  } catch {
    return undefined;
  }
}
