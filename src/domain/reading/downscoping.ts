import type { Principal } from "../../model/access/principal.js";
import { FailedPrecondition } from "../../model/errors.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { TokenPurpose } from "../access/access.js";
import type { CredentialVault, CurrentToken } from "../connections/connections.js";
import type { RefreshEngine } from "../grants/grants.js";
import type { IssuerMetadata, TokenEndpointClient } from "../token_endpoint/token_endpoint.js";
import type { ReadAudit } from "./read_audit.js";
import type { Tokens, TokenTarget } from "./tokens.js";

/** Makes tokens that may do less than their connection's. */
export interface Downscoping {
  /**
   * @param minTtlMs wished remaining lifetime, as of `Tokens.getToken`
   * @throws InvalidArgument, NotFound, FailedPrecondition, DataLoss; Unavailable, also when the read cannot be recorded
   */
  get(
    connectionId: string,
    target: TokenTarget,
    minTtlMs: number,
    principal: Principal,
    asking?: TokenPurpose,
  ): Promise<CurrentToken>;
}

export interface DownscopingParts {
  readonly store: Store;
  readonly vault: CredentialVault;
  readonly tokens: Tokens;
  readonly servers: IssuerMetadata;
  readonly grants: Pick<TokenEndpointClient, "mint">;
  readonly engine: RefreshEngine;
  readonly downscopedAudit: Pick<ReadAudit, "obtained">;
  readonly changes: Changes;
  readonly clock: Clock;
  /** Of a hub: whether it acts itself. */
  readonly member?: { readonly leads: boolean } | undefined;
}

export type OpenDownscoping = (parts: DownscopingParts) => Promise<Downscoping>;

/** Opens it when it is first asked for. */
export function lazyDownscoping(open: OpenDownscoping | undefined, parts: DownscopingParts): Downscoping {
  let opened: Promise<Downscoping> | undefined;
  return {
    get: async (...request) => {
      if (open === undefined)
        throw new FailedPrecondition("TOKEN_EXCHANGE_OFF", "this build of nexusd makes no downscoped tokens");
      opened ??= open(parts);
      return await (await opened).get(...request);
    },
  };
}
