import { about, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import { NotFound } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import { type CredentialWriter, changeConnection, type VaultParts } from "../connections/connections.js";
import type { Grants, PendingConsents, RevocationQueue, Revoker } from "../grants/grants.js";
import type { CredentialTrial } from "../profiles/profiles.js";
import type { TokenEndpoint, TokenEndpointClient } from "../token_endpoint/token_endpoint.js";
import { ConnectionImporter } from "./connection_importer.js";
import { ImportRecovery } from "./import_recovery.js";
import { UnattendedConnector } from "./unattended_connector.js";

export { ConnectionImporter } from "./connection_importer.js";
export { UnattendedConnector } from "./unattended_connector.js";

/** What makes connections without a consent, reads them, and ends them. */
export interface Provisioning {
  readonly connections: Connections;
  readonly importer: ConnectionImporter;
  /** Goes on with imports that a crash interrupted. */
  readonly recovery: ImportRecovery;
  /** Connects where no user is needed. */
  readonly unattended: UnattendedConnector;
}

export interface ProvisioningDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly endpoint: Pick<TokenEndpoint, "servers" | "sources"> & {
    readonly grants: Pick<TokenEndpointClient, "refresh">;
  };
  readonly refresh: Pick<Grants, "engine" | "pending" | "revocations" | "spool"> & {
    /** Resolves when the first request to revoke what a connection held was answered, or went unanswered. */
    readonly revoker: Pick<Revoker, "attempted">;
  };
  /** Checks the fields of a static type. */
  readonly trial: Pick<CredentialTrial, "check">;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly limits: Limits;
}

export function openProvisioning(deps: ProvisioningDeps): Provisioning {
  const { store, vault, writer, clock, log, random, limits } = deps;
  const { servers, grants, sources } = deps.endpoint;
  const { engine, pending, revocations, revoker, spool } = deps.refresh;
  const importer = new ConnectionImporter({
    store,
    vault,
    writer,
    servers,
    grants,
    sources,
    clock,
    log,
    spool,
    checkFields: (profile, values) => deps.trial.check(profile, values),
    limits,
  });
  return {
    connections: new Connections({
      store,
      pending,
      revocations,
      revocationAttempted: (connectionId) => revoker.attempted(connectionId),
      clock,
    }),
    importer,
    recovery: new ImportRecovery({ store, clock, random, log, importer }),
    unattended: new UnattendedConnector({ store, clock, refresher: engine.refresher, limits }),
  };
}

/** Reads and ends connections. */
export class Connections {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly pending: PendingConsents;
      readonly revocations: RevocationQueue;
      /** Resolves when the first request to revoke what a connection held was answered, or went unanswered; at once by default. */
      readonly revocationAttempted?: (connectionId: string) => Promise<void>;
      readonly clock: Clock;
    },
  ) {}

  /** @throws NotFound */
  get(connectionId: string): Connection {
    const connection = this.deps.store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    return connection;
  }

  /**
   * Erases the credential and keeps the record; its token is revoked at the provider afterwards. A refresh under way finds it revoked
   * and drops its answer.
   *
   * @returns the connection as it is when the provider has answered for the first time, or has not for 2 s
   * @throws NotFound
   */
  async revoke(connectionId: string, principal: Principal): Promise<Connection> {
    const revoked = await this.#end(connectionId, principal);
    await this.deps.revocationAttempted?.(connectionId);
    return this.deps.store.getConnection(connectionId) ?? revoked;
  }

  async #end(connectionId: string, principal: Principal): Promise<Connection> {
    const nowMs = this.deps.clock.nowMs();
    return await this.deps.store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      if (before.status === "revoked") return before;
      const held = this.deps.pending.end(tx, before, "ends");
      const stored = this.deps.revocations.enqueueStored(tx, before);
      tx.deleteCredential(connectionId);
      const revoked = changeConnection(
        before,
        {
          status: "revoked",
          problem: undefined,
          refreshable: false,
          refreshIntent: undefined,
          refreshNotBeforeMs: undefined,
          expiresAtMs: undefined,
          pendingStateHash: undefined,
          requestExpiresAtMs: undefined,
          awaitingConfirmation: undefined,
          providerRevocation: stored === "not_needed" ? held : stored,
        },
        nowMs,
      );
      tx.putConnection(revoked);
      tx.appendAudit({ timeMs: nowMs, type: "connection.revoked", ...by(principal), ...about(before) });
      return revoked;
    });
  }

  /** @throws NotFound */
  async delete(connectionId: string, principal: Principal): Promise<void> {
    const nowMs = this.deps.clock.nowMs();
    await this.deps.store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      this.deps.pending.end(tx, before, "ends");
      this.deps.revocations.enqueueStored(tx, before);
      tx.deleteConnection(connectionId);
      tx.appendAudit({ timeMs: nowMs, type: "connection.deleted", ...by(principal), ...about(before) });
    });
  }
}
