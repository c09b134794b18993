import type { SpoolOutcome } from "../../model/connections/spooled_token_set.js";
import type { Tracing } from "../../model/tracing.js";
import type { Changes } from "../../runtime/changes.js";
import { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { SpoolFile } from "../../store/files/spool_file.js";
import type { CredentialWriter, VaultParts } from "../connections/connections.js";
import type { TokenEndpoint, TokenEndpointClient } from "../token_endpoint/token_endpoint.js";
import { PendingConsents } from "./pending_consents.js";
import { RefreshEngine } from "./refresh_engine.js";
import { RefreshHistory } from "./refresh_history.js";
import type { RefreshMetrics } from "./refresher.js";
import { RevocationQueue } from "./revocation_queue.js";
import { Revoker } from "./revoker.js";
import { TokenSpool } from "./token_spool.js";

export { mayTakePlace, PendingConsents } from "./pending_consents.js";
export { RefreshEngine } from "./refresh_engine.js";
export { RefreshHistory } from "./refresh_history.js";
export { awaitedRefresh, Refresher, type Refreshes, type RefreshOptions } from "./refresher.js";
export { RequestSlots } from "./request_slots.js";
export { type QueuedRevocation, RevocationQueue } from "./revocation_queue.js";
export { Revoker } from "./revoker.js";
export { isSucceededBy } from "./spool_recovery.js";
export { TokenSpool } from "./token_spool.js";

/** What calls providers by itself. */
export interface Grants {
  readonly engine: RefreshEngine;
  readonly history: RefreshHistory;
  /** Holds token sets until they are durable. */
  readonly spool: TokenSpool;
  /** Consents that are requested and not finished. */
  readonly pending: PendingConsents;
  readonly revocations: RevocationQueue;
  readonly revoker: Revoker;
  /** One token request per connection. */
  readonly locks: KeyedMutex<string>;
}

export interface GrantsDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly endpoint: Pick<TokenEndpoint, "servers" | "sources"> & {
    readonly grants: Pick<TokenEndpointClient, "refresh" | "revoke">;
  };
  readonly changes: Changes;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly tracing: Tracing;
  readonly metrics: RefreshMetrics & { spooled(outcome: SpoolOutcome): void };
  /** Undefined where none could be opened. */
  readonly spoolFile: SpoolFile | undefined;
  /** Whether a consent of another account than the connection's is refused. */
  readonly refusesOtherAccounts: boolean;
}

export function openGrants(deps: GrantsDeps): Grants {
  const { store, vault, writer, changes, clock, log, random, tracing, metrics } = deps;
  const { servers, grants, sources } = deps.endpoint;
  const revocations = new RevocationQueue({ vault, changes, clock });
  const pending = new PendingConsents({ vault, revocations, clock });
  const locks = new KeyedMutex<string>();
  const spool = new TokenSpool({
    vault,
    revocations,
    clock,
    store,
    log,
    file: deps.spoolFile,
    onSpooled: (outcome) => metrics.spooled(outcome),
    refusesOtherAccounts: deps.refusesOtherAccounts,
  });
  const history = new RefreshHistory({ clock });
  return {
    engine: new RefreshEngine({
      store,
      vault,
      writer,
      servers,
      grants,
      revocations,
      pending,
      locks,
      changes,
      clock,
      random,
      log,
      sources,
      tracing,
      spool,
      metrics,
      history,
    }),
    history,
    spool,
    pending,
    revocations,
    revoker: new Revoker({ store, vault, servers, grants, changes, clock, random, log }),
    locks,
  };
}
