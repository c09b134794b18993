import { createHash } from "node:crypto";
import {
  authorizationLifetimeMs,
  type HeldCredential,
  type PendingAuthorization,
} from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import { newToken } from "../../model/ids.js";
import type { Clock } from "../../runtime/clock.js";
import type { Transaction } from "../../store/transaction.js";
import { changeConnection } from "../connections/state/connection_change.js";
import type { CredentialVault } from "../credentials/credential_vault.js";

/** Puts what a consent brought aside, sealed, until it is confirmed. */
export class ConsentHolder {
  readonly #vault: CredentialVault;
  readonly #clock: Clock;

  constructor(options: { vault: CredentialVault; clock: Clock }) {
    this.#vault = options.vault;
    this.#clock = options.clock;
  }

  /**
   * Nothing that the connection holds is touched: its own credential serves on.
   *
   * @param connection read in `tx`, without a pending request
   * @param pending the request that was answered, no longer stored
   * @returns the completion code; only its hash is stored
   */
  hold(
    tx: Transaction,
    connection: Connection,
    pending: PendingAuthorization,
    held: HeldCredential,
  ): { readonly completionCode: string; readonly connection: Connection } {
    const nowMs = this.#clock.nowMs();
    const completionCode = newToken();
    const key = hashCompletionCode(completionCode);
    const expiresAtMs = nowMs + authorizationLifetimeMs;
    const nothing = { codeVerifier: "", nonce: undefined, browserBinding: "", state: "" };
    const waits = { ...pending, expiresAtMs, held: true, failedConfirmations: 0 };
    const sealed = this.#vault.sealAuthorization(key, waits, { ...nothing, held });
    tx.putAuthorization(key, { ...waits, sealed });
    const wasOver = connection.status === "failed" || connection.status === "expired";
    const waiting = changeConnection(
      connection,
      {
        ...(wasOver ? { status: "pending", problem: undefined } : {}),
        pendingStateHash: key,
        requestExpiresAtMs: expiresAtMs,
        awaitingConfirmation: true,
      },
      nowMs,
    );
    tx.putConnection(waiting);
    return { completionCode, connection: waiting };
  }
}

/** Never the hash of a `state`, so that neither can be used as the other. */
export function hashCompletionCode(code: string): string {
  return createHash("sha256").update(`completion code ${code}`).digest("hex");
}
