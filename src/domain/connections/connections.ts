import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import { NotFound } from "../../model/errors.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import { type ConnectionFilter, isWanted } from "../access/visible_connections.js";
import {
  type ConnectionRequest,
  ConnectionRequests,
  type PendingLink,
  type RequestedConnection,
} from "../consent/consent_request.js";
import { PendingConsents } from "../consent/pending_consents.js";
import type { CredentialVault } from "../credentials/credential_vault.js";
import type { IssuerMetadata } from "../grants/issuer_metadata.js";
import type { RevocationQueue } from "../grants/revocation_queue.js";
import { changeConnection } from "../lifecycle/connection_change.js";
import type { StoredLimits } from "../lifecycle/quotas.js";

type ManagerStore = Pick<
  Store,
  | "commit"
  | "getProvider"
  | "findProviderByName"
  | "listProviders"
  | "getConnection"
  | "getAuthorization"
  | "listConnections"
>;

/** Connections: requesting, reading, ending. */
export class Connections {
  readonly #store: ManagerStore;
  readonly #revocations: Pick<RevocationQueue, "enqueueStored">;
  readonly #attempted: (connectionId: string) => Promise<void>;
  readonly #pending: PendingConsents;
  readonly #requests: ConnectionRequests;
  readonly #clock: Clock;

  constructor(options: {
    store: ManagerStore;
    vault: CredentialVault;
    servers: Pick<IssuerMetadata, "resolve">;
    revocations: Pick<RevocationQueue, "enqueueStored" | "enqueue">;
    /** Resolves when the provider was asked for the first time to revoke what a connection held, or does not answer; at once by default. */
    revocationAttempted?: (connectionId: string) => Promise<void>;
    clock: Clock;
    /** Without a trailing slash. */
    publicUrl: string;
    allowedReturnOrigins: readonly string[];
    requireConfirmation?: boolean;
    limits?: StoredLimits;
  }) {
    this.#store = options.store;
    this.#revocations = options.revocations;
    this.#attempted = options.revocationAttempted ?? (() => Promise.resolve());
    this.#pending = new PendingConsents(options);
    this.#requests = new ConnectionRequests({ ...options, pending: this.#pending });
    this.#clock = options.clock;
  }

  /** @throws InvalidArgument, NotFound, FailedPrecondition, ResourceExhausted, Unavailable */
  async request(request: ConnectionRequest, principal: Principal): Promise<RequestedConnection> {
    return await this.#requests.request(request, principal);
  }

  /** See `ConnectionRequests.pendingLink`. */
  pendingLink(connection: Connection, scopes: readonly string[]): PendingLink | undefined {
    return this.#requests.pendingLink(connection, scopes);
  }

  /** @throws InvalidArgument */
  checkReturnUrl(returnUrl: string): void {
    this.#requests.checkReturnUrl(returnUrl);
  }

  /** @throws NotFound */
  get(connectionId: string): Connection {
    const connection = this.#store.getConnection(connectionId);
    if (!connection) throw new NotFound("connection");
    return connection;
  }

  /**
   * One page in the order of ids. At most ten times `limit` records are looked at, so a page may hold fewer than `limit`
   * while more follow.
   *
   * @returns the page and the id to go on after; undefined on the last page
   */
  list(options: ConnectionFilter): { connections: Connection[]; nextAfterId: string | undefined } {
    const connections: Connection[] = [];
    let afterId = options.afterId;
    for (let looked = 0; looked < options.limit * 10; looked += options.limit) {
      const page = this.#store.listConnections({
        limit: options.limit,
        ...(afterId === undefined ? {} : { afterId }),
        ...(options.providerId === undefined ? {} : { providerId: options.providerId }),
        idPrefix: options.idPrefix,
      });
      for (const connection of page) {
        afterId = connection.id;
        if (!isWanted(connection, options)) continue;
        connections.push(connection);
        if (connections.length === options.limit) return { connections, nextAfterId: afterId };
      }
      if (page.length < options.limit) return { connections, nextAfterId: undefined };
    }
    return { connections, nextAfterId: afterId };
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
    await this.#attempted(connectionId);
    return this.#store.getConnection(connectionId) ?? revoked;
  }

  async #end(connectionId: string, principal: Principal): Promise<Connection> {
    const nowMs = this.#clock.nowMs();
    return await this.#store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      if (before.status === "revoked") return before;
      const held = this.#pending.end(tx, before, "ends");
      const stored = this.#revocations.enqueueStored(tx, before);
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
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.revoked",
        ...by(principal),
        connectionId,
        providerId: before.providerId,
      });
      return revoked;
    });
  }

  /** @throws NotFound */
  async delete(connectionId: string, principal: Principal): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before) throw new NotFound("connection");
      this.#pending.end(tx, before, "ends");
      this.#revocations.enqueueStored(tx, before);
      tx.deleteConnection(connectionId);
      tx.appendAudit({
        timeMs: nowMs,
        type: "connection.deleted",
        ...by(principal),
        connectionId,
        providerId: before.providerId,
      });
    });
  }
}
