import type { Principal } from "../../model/access/principal.js";
import { NotFound } from "../../model/errors.js";
import type { Clock } from "../../runtime/clock.js";
import type { ConnectionKey, ConnectionNames } from "../access/connection_names.js";
import type { Tokens } from "../tokens/tokens.js";
import { type Injection, inject, type ProxiedRequest } from "./proxied_request.js";

/** Decides over requests that stand at a proxy, and says what the proxy puts into them. */
export class ProxyAuthorizer {
  constructor(
    private readonly deps: {
      readonly tokens: Tokens;
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
  ): Promise<Injection> {
    if (!key) throw new NotFound("connection");
    const connectionId = this.deps.names.idOf(key, principal);
    const { strategy, credentials } = await this.deps.tokens.getToken(connectionId, 0, principal);
    return await inject(request, strategy, credentials, this.deps.clock.nowMs());
  }
}
