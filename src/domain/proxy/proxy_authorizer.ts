import type { Principal } from "../../model/access/principal.js";
import { NotFound, PermissionDenied } from "../../model/errors.js";
import type { Clock } from "../../runtime/clock.js";
import type { ConnectionKey, ConnectionNames } from "../access/connection_names.js";
import type { RejectedToken, RejectedTokens } from "../tokens/rejected_tokens.js";
import type { Tokens } from "../tokens/tokens.js";
import { type Injection, inject, type ProxiedRequest } from "./proxied_request.js";

/** What a proxy puts in, and of which credential it is made. */
export interface Authorized extends Injection {
  readonly connectionId: string;
  readonly revision: bigint;
}

/** What an API said to a request that the proxy had put the credential into. */
export type RefusedInjection = Omit<RejectedToken, "connectionId">;

/** Decides over requests that stand at a proxy, and says what the proxy puts into them. */
export class ProxyAuthorizer {
  constructor(
    private readonly deps: {
      readonly tokens: Tokens;
      readonly rejected: Pick<RejectedTokens, "report">;
      readonly names: Pick<ConnectionNames, "idOf">;
      readonly clock: Pick<Clock, "nowMs">;
    },
  ) {}

  /**
   * @param key undefined where the route names no connection
   * @param principal the proxy: it is its read of the token that is on record
   * @throws NotFound, FailedPrecondition, Unavailable, DataLoss as `getToken`; PermissionDenied when the credential cannot be put into
   * such a request
   */
  async authorize(
    key: ConnectionKey | undefined,
    request: ProxiedRequest,
    principal: Principal,
  ): Promise<Authorized> {
    const connectionId = this.#idOf(key, principal);
    const { strategy, credentials, revision } = await this.deps.tokens.getToken(connectionId, 0, principal);
    const injection = await inject(request, strategy, credentials, this.deps.clock.nowMs());
    return { ...injection, connectionId, revision };
  }

  /**
   * The API refused what was put in. Afterwards there is another credential to put in.
   *
   * @throws as `RejectedTokens.report`; PermissionDenied when the API wants other scopes
   */
  async refused(
    key: ConnectionKey | undefined,
    refusal: RefusedInjection,
    principal: Principal,
  ): Promise<void> {
    const connectionId = this.#idOf(key, principal);
    const { outcome } = await this.deps.rejected.report({ connectionId, ...refusal }, principal);
    if (outcome !== "scopes_missing") return;
    throw new PermissionDenied("the API wants other scopes: AcquireToken answers a link that asks for them");
  }

  #idOf(key: ConnectionKey | undefined, principal: Principal): string {
    if (!key) throw new NotFound("connection");
    return this.deps.names.idOf(key, principal);
  }
}
