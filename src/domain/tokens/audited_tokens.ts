import type { Principal } from "../../model/access/principal.js";
import type { CurrentToken } from "../credentials/credential_reader.js";
import type { ReadAudit } from "./read_audit.js";
import type { TokenManager } from "./token_manager.js";

/** Tokens for callers: what leaves here is on record. */
export class AuditedTokens {
  readonly #manager: Pick<TokenManager, "tokenAtHand" | "getToken" | "refreshToken">;
  readonly #readAudit: Pick<ReadAudit, "read" | "refused">;

  constructor(options: {
    manager: Pick<TokenManager, "tokenAtHand" | "getToken" | "refreshToken">;
    readAudit: Pick<ReadAudit, "read" | "refused">;
  }) {
    this.#manager = options.manager;
    this.#readAudit = options.readAudit;
  }

  /**
   * As `TokenManager.getToken`; Unavailable also when the read cannot be recorded. At once, not as a promise, when the token is at
   * hand and its reader has read it before.
   */
  getToken(
    connectionId: string,
    minTtlMs: number,
    principal: Principal,
  ): CurrentToken | Promise<CurrentToken> {
    const token = this.#manager.tokenAtHand(connectionId, minTtlMs);
    if (token) {
      const recorded = this.#readAudit.read(principal, connectionId, token.revision);
      return recorded === undefined ? token : recorded.then(() => token);
    }
    return this.#recorded(principal, connectionId, () => this.#manager.getToken(connectionId, minTtlMs));
  }

  /** As `TokenManager.refreshToken`; Unavailable also when the read cannot be recorded. */
  refreshToken(connectionId: string, principal: Principal): Promise<CurrentToken> {
    return this.#recorded(principal, connectionId, () => this.#manager.refreshToken(connectionId));
  }

  async #recorded(
    principal: Principal,
    connectionId: string,
    obtain: () => Promise<CurrentToken>,
  ): Promise<CurrentToken> {
    let token: CurrentToken;
    try {
      token = await obtain();
    } catch (error) {
      await this.#readAudit.refused(principal, connectionId, error);
      throw error;
    }
    const recorded = this.#readAudit.read(principal, connectionId, token.revision);
    if (recorded !== undefined) await recorded;
    return token;
  }
}
