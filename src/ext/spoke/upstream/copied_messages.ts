import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { Token, TokenState } from "../../../gen/nexus/v1/token_pb.js";
import type { Account } from "../../../model/credentials/account.js";
import { bearerStrategy } from "../../../model/credentials/strategy.js";
import { type ProblemReason, problemMessages } from "../../../model/problem_reason.js";
import { profileSettings } from "../../../model/providers/profile_fields.js";
import type { ProviderProfile } from "../../../model/providers/provider_profile.js";
import { strategyOf } from "../../../model/providers/strategy_message.js";
import { statusOf } from "../../../service/messages/connection_message.js";
import { versionOfEtag } from "../../../service/messages/provider_message.js";
import type { CopiedState, CopiedToken } from "../copies/copied_state.js";

/** What a hub tells of a connection. A status or a problem that this version does not know is one that a person must look at. */
export function copiedState(state: TokenState): CopiedState {
  const { connectionId, userId, providerId, providerName, label, revision } = state;
  const { token, problem, account, refreshExpiresAt, createdAt } = state;
  return {
    ...{ connectionId, userId, providerId, providerName, label, revision },
    status: statusOf(state.status) ?? "attention",
    token: token && copiedToken(token),
    problem: problem && {
      reason: Object.hasOwn(problemMessages, problem.reason)
        ? (problem.reason as ProblemReason)
        : "reauth_required",
      sinceMs: problem.since ? timestampMs(problem.since) : 1,
      retryAtMs: problem.retryAt && timestampMs(problem.retryAt),
    },
    createdAtMs: createdAt && timestampMs(createdAt),
    refreshExpiresAtMs: refreshExpiresAt && timestampMs(refreshExpiresAt),
    account: account && accountOf(account),
  };
}

export function copiedToken(token: Token): CopiedToken {
  const { credentials, expiresAt, refreshNotBefore, grantedScopes, tokenType } = token;
  return {
    strategy: strategyOf(token.strategy) ?? bearerStrategy,
    credentials,
    expiresAtMs: expiresAt && timestampMs(expiresAt),
    refreshNotBeforeMs: refreshNotBefore && timestampMs(refreshNotBefore),
    grantedScopes,
    tokenType,
  };
}

function accountOf({ subject, name, email, login }: Omit<Account, "source">): Account {
  return { subject, name, email, login, source: "" };
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
