import type { AuditEventType } from "../model/audit_event.js";
import type { Connection, ProblemReason } from "../model/connection.js";
import type { Credential } from "../model/credential.js";
import { DataLoss, NexusError } from "../model/errors.js";
import { daemon } from "../model/principal.js";
import type { ProviderProfile } from "../model/provider_profile.js";
import type { AuthorizationServer } from "../oauth/authorization_server.js";
import { GrantFailure } from "../oauth/failure.js";
import type { Clock } from "../runtime/clock.js";
import type { KeyedMutex } from "../runtime/keyed_mutex.js";
import type { Secret } from "../runtime/secret.js";
import { SingleFlight } from "../runtime/single_flight.js";
import type { Store } from "../store/store.js";
import type { AuthorizationServers } from "./authorization_servers.js";
import { attention, changeConnection, problemSince } from "./connection_change.js";
import type { CredentialVault } from "./credential_vault.js";
import type { CredentialWriter } from "./credential_writer.js";
import type { Grants } from "./grants.js";
import type { Log } from "./log.js";
import { retryDelayMs } from "./refresh_policy.js";

/** How a refresh ended; the connection in the store says the rest. */
export type RefreshOutcome =
  /** A new revision is durable. */
  | "refreshed"
  /** A person must consent again. */
  | "attention"
  /** It failed and is tried again at the time in the connection's problem. */
  | "retry"
  /** There is nothing to refresh: no refresh token, no provider, not active, or gone. */
  | "not_refreshable";

/** What counts refreshes. */
export interface RefreshMetrics {
  refreshed(provider: string, result: "success" | "failure", reason: string, durationMs: number): void;
}

type RefresherStore = Pick<Store, "commit" | "getConnection" | "getCredential" | "getProvider">;

/** Redeems refresh tokens: for one connection never two at a time, and nothing is seen before it is durable. */
export class Refresher {
  readonly #store: RefresherStore;
  readonly #vault: CredentialVault;
  readonly #writer: CredentialWriter;
  readonly #servers: Pick<AuthorizationServers, "resolve">;
  readonly #grants: Pick<Grants, "refresh">;
  readonly #locks: KeyedMutex<string>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: Log;
  readonly #metrics: RefreshMetrics;
  readonly #flights = new SingleFlight<string, RefreshOutcome>();

  constructor(options: {
    store: RefresherStore;
    vault: CredentialVault;
    writer: CredentialWriter;
    servers: Pick<AuthorizationServers, "resolve">;
    grants: Pick<Grants, "refresh">;
    /** Shared with the completer: one token request per connection. */
    locks: KeyedMutex<string>;
    clock: Clock;
    random: () => number;
    log: Log;
    metrics: RefreshMetrics;
  }) {
    this.#store = options.store;
    this.#vault = options.vault;
    this.#writer = options.writer;
    this.#servers = options.servers;
    this.#grants = options.grants;
    this.#locks = options.locks;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.log;
    this.#metrics = options.metrics;
  }

  /** Refreshes one connection; a refresh under way is joined. */
  refresh(connectionId: string): Promise<RefreshOutcome> {
    return this.#flights.run(connectionId, () =>
      this.#locks.run(connectionId, () => this.#perform(connectionId)),
    );
  }

  /** Resolves when every refresh under way is over and stored. */
  async settled(): Promise<void> {
    await this.#flights.settled();
  }

  async #perform(connectionId: string): Promise<RefreshOutcome> {
    const connection = this.#store.getConnection(connectionId);
    if (connection?.status !== "active" || !connection.refreshable) return "not_refreshable";
    const profile = this.#store.getProvider(connection.providerId);
    if (!profile) {
      await this.#settle(connection, "provider_deleted", "token_refresh_failed");
      return "not_refreshable";
    }
    const startedMs = this.#clock.monotonicMs();
    const count = (result: "success" | "failure", reason: string): void =>
      this.#metrics.refreshed(profile.name, result, reason, this.#clock.monotonicMs() - startedMs);

    const prepared = await this.#prepare(connection, profile);
    if (typeof prepared === "string") {
      count("failure", prepared);
      return prepared;
    }
    const outcomeWasUnknown = connection.refreshIntent?.credentialRevision === connection.credentialRevision;
    if (!(await this.#writeIntent(connection))) return "not_refreshable";

    // Point of no return: from here on the provider may have redeemed the refresh token.
    try {
      const { tokenSet, idTokenFault } = await this.#grants.refresh({
        server: prepared.server,
        profile,
        refreshToken: prepared.refreshToken,
        subject: connection.subject,
      });
      if (idTokenFault !== undefined) {
        this.#log.warn(
          { connectionId, fault: idTokenFault },
          "id_token of a refresh does not verify; the tokens are kept",
        );
      }
      const stored = await this.#store.commit((tx) => {
        const current = tx.getConnection(connectionId);
        if (!isSame(current, connection)) return undefined;
        tx.appendAudit(this.#audit(connection, "token_refreshed"));
        return this.#writer.write(tx, current, profile, tokenSet, prepared.credential);
      });
      if (!stored) return "not_refreshable";
      count("success", "");
      this.#log.info({ connectionId, revision: stored.credentialRevision.toString() }, "token refreshed");
      return "refreshed";
    } catch (error) {
      if (!(error instanceof GrantFailure)) throw error;
      count("failure", error.kind);
      return await this.#fail(connection, error, outcomeWasUnknown);
    }
  }

  /** All that can fail before anything is sent. */
  async #prepare(
    connection: Connection,
    profile: ProviderProfile,
  ): Promise<{ server: AuthorizationServer; credential: Credential; refreshToken: Secret } | RefreshOutcome> {
    let credential: Credential;
    try {
      const stored = this.#store.getCredential(connection.id);
      if (!stored) throw new DataLoss("the credential of an active connection is missing");
      credential = this.#vault.openCredential(connection, stored);
    } catch (error) {
      if (!(error instanceof DataLoss)) throw error;
      this.#log.error({ connectionId: connection.id, error: error.message }, "credential cannot be opened");
      await this.#settle(connection, "data_loss", "token_refresh_fatal");
      return "attention";
    }
    if (!credential.refreshToken) return "not_refreshable";
    try {
      const server = await this.#servers.resolve(profile);
      return { server, credential, refreshToken: credential.refreshToken };
    } catch (error) {
      if (!(error instanceof NexusError)) throw error;
      return await this.#retryLater(
        connection,
        { refreshIntent: connection.refreshIntent },
        undefined,
        error.message,
      );
    }
  }

  /** The journal entry that tells, after a crash, that the outcome is unknown. False when the connection has moved on. */
  async #writeIntent(connection: Connection): Promise<boolean> {
    const nowMs = this.#clock.nowMs();
    return await this.#store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      if (!isSame(current, connection)) return false;
      const refreshIntent = { credentialRevision: connection.credentialRevision, startedAtMs: nowMs };
      tx.putUnannounced({ ...current, refreshIntent });
      return true;
    });
  }

  async #fail(
    connection: Connection,
    failure: GrantFailure,
    outcomeWasUnknown: boolean,
  ): Promise<RefreshOutcome> {
    if (failure.kind === "invalid_grant") {
      const reason = outcomeWasUnknown ? "outcome_unknown" : "reauth_required";
      this.#log.warn(
        { connectionId: connection.id, reason },
        "refresh token refused: consent is needed again",
      );
      await this.#settle(connection, reason, "token_refresh_fatal");
      return "attention";
    }
    // An answer that never came leaves the intent: if the next attempt is refused, the outcome of this one is why.
    const ambiguous = failure.kind === "ambiguous";
    const kept = ambiguous || outcomeWasUnknown ? {} : { refreshIntent: undefined };
    return await this.#retryLater(connection, kept, failure.retryAfterMs, failure.message);
  }

  async #retryLater(
    connection: Connection,
    change: Partial<Pick<Connection, "refreshIntent">>,
    retryAfterMs: number | undefined,
    failure: string,
  ): Promise<RefreshOutcome> {
    const nowMs = this.#clock.nowMs();
    const failedRefreshes = connection.failedRefreshes + 1;
    const retryAtMs = nowMs + retryDelayMs(failedRefreshes, retryAfterMs, this.#random());
    this.#log.warn(
      { connectionId: connection.id, failure, failedRefreshes, retryAt: new Date(retryAtMs).toISOString() },
      "refresh failed and will be tried again",
    );
    await this.#store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      if (!isSame(current, connection)) return;
      const problem = problemSince(current, "refresh_failing", nowMs, retryAtMs);
      tx.putConnection(changeConnection(current, { ...change, problem, failedRefreshes }, nowMs));
      tx.appendAudit({ ...this.#audit(connection, "token_refresh_failed"), reason: "refresh_failing" });
    });
    return "retry";
  }

  /** Writes a failure that time does not mend; only against the revision that it was made with. */
  async #settle(connection: Connection, reason: ProblemReason, type: AuditEventType): Promise<void> {
    const nowMs = this.#clock.nowMs();
    await this.#store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      if (!isSame(current, connection)) return;
      const change =
        reason === "provider_deleted"
          ? { problem: problemSince(current, reason, nowMs) }
          : attention(current, reason, nowMs);
      tx.putConnection(changeConnection(current, change, nowMs));
      tx.appendAudit({ ...this.#audit(connection, type), reason });
    });
  }

  #audit(connection: Connection, type: AuditEventType) {
    return {
      timeMs: this.#clock.nowMs(),
      type,
      principal: daemon.name,
      connectionId: connection.id,
      providerId: connection.providerId,
    };
  }
}

/** Whether the connection is still the one that an attempt was made for. */
function isSame(current: Connection | undefined, attempted: Connection): current is Connection {
  return current?.status === "active" && current.credentialRevision === attempted.credentialRevision;
}
