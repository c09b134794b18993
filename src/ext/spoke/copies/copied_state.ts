import type { ConnectionStatus, Problem } from "../../../model/connections/connection.js";
import type { Account } from "../../../model/credentials/account.js";
import type { Strategy } from "../../../model/credentials/strategy.js";

/** A connection as a hub tells its watchers; see `nexus.v1.TokenState`. */
export interface CopiedState {
  readonly connectionId: string;
  readonly userId: string;
  readonly providerId: string;
  readonly providerName: string;
  readonly label: string;
  readonly status: ConnectionStatus;
  readonly revision: bigint;
  /** Undefined when none is usable. */
  readonly token: CopiedToken | undefined;
  readonly problem: Pick<Problem, "reason" | "sinceMs" | "retryAtMs"> | undefined;
  readonly refreshExpiresAtMs: number | undefined;
  readonly account: Account | undefined;
  /** Undefined from a hub of an older version. */
  readonly createdAtMs: number | undefined;
}

/** See `nexus.v1.Token`. */
export interface CopiedToken {
  readonly strategy: Strategy;
  readonly credentials: Readonly<Record<string, string>>;
  readonly expiresAtMs: number | undefined;
  readonly refreshNotBeforeMs: number | undefined;
  readonly grantedScopes: readonly string[];
  readonly tokenType: string;
}
