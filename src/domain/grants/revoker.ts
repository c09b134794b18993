import { daemon } from "../../model/access/principal.js";
import type {
  DueRevocation,
  PendingRevocation,
  ProviderRevocation,
} from "../../model/connections/revocation.js";
import { DataLoss, NexusError } from "../../model/errors.js";
import type { RevocationOutcome } from "../../oauth/grants/revocation.js";
import { type Backoff, retryDelayMs } from "../../runtime/backoff.js";
import type { Changes } from "../../runtime/changes.js";
import { delay } from "../../runtime/clock.js";
import { type DueWork, DueWorker } from "../../runtime/due_worker.js";
import { revocationPlace, type VaultParts } from "../connections/connections.js";
import {
  GrantMoved,
  type IssuerMetadata,
  type TokenEndpointClient,
} from "../token_endpoint/token_endpoint.js";

/**
 * A provider that does not answer for so long is left alone; by then most unused refresh tokens have expired. An access token is
 * given up when it dies.
 */
const giveUpAfterMs = 7 * 24 * 60 * 60_000;
const retryBackoff: Backoff = { baseMs: 5_000, maxMs: 60 * 60_000 };
/** A caller that ends a connection waits so long for what the provider responds. */
const answerWaitMs = 2_000;
const maxRunning = 16;
/** Requests at one provider at a time: one that hangs must not hold up the others. */
const perProvider = 4;
/** Why a token was given up that died by itself. */
const tokenExpired = "token_expired";

/**
 * Revokes queued tokens at their providers (RFC 7009), again and again until the provider has answered. The queue is in the store: a
 * restart goes on with it, and an attempt whose end was not stored is repeated, which is safe.
 */
export class Revoker {
  readonly #worker: DueWorker<DueRevocation & DueWork>;

  constructor(
    private readonly deps: VaultParts & {
      readonly servers: Pick<IssuerMetadata, "resolve">;
      readonly grants: Pick<TokenEndpointClient, "revoke">;
      readonly changes: Changes;
      readonly random: () => number;
    },
  ) {
    const { clock, log, store } = deps;
    this.#worker = new DueWorker({
      ...{ clock, atMost: maxRunning, atMostIn: () => perProvider, stopMs: 0 },
      next: () =>
        store.revocations.due(2 * perProvider).map((due) => {
          return { ...due, key: due.id, lane: due.providerId, dueAtMs: due.nextAttemptMs };
        }),
      run: async ({ id }, signal) => {
        const revocation = store.revocations.get(id);
        if (revocation) await this.#attempt(revocation, signal);
      },
      onError: (error, { id }) => log.error({ err: error, revocationId: id }, "revocation failed"),
    });
    deps.changes.on("revocationQueued", () => this.wake());
  }

  start(): void {
    this.#worker.start();
  }

  /** Looks at the queue. */
  wake(): void {
    this.#worker.wake();
  }

  /** Cuts off what is under way: it stays in the queue. */
  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  /** Resolves when the attempts under way for a connection are over and stored, after 2 s at the latest. */
  async attempted(connectionId: string): Promise<void> {
    const { revocations } = this.deps.store;
    const mine = this.#worker.running(({ id }) => revocations.get(id)?.connectionId === connectionId);
    if (mine.length === 0) return;
    const over = new AbortController();
    const ended = Promise.all(mine).finally(() => over.abort());
    await Promise.race([ended, delay(this.deps.clock, answerWaitMs, over.signal)]);
  }

  async #attempt(revocation: PendingRevocation, signal: AbortSignal): Promise<void> {
    const outcome = await this.#ask(revocation, signal);
    if (signal.aborted && outcome.kind === "retry") return;
    if (outcome.kind !== "retry") return await this.#finish(revocation, outcome);
    const nowMs = this.deps.clock.nowMs();
    if (nowMs - revocation.createdAtMs >= giveUpAfterMs) {
      return await this.#finish(revocation, { kind: "refused", reason: outcome.reason });
    }
    const attempts = revocation.attempts + 1;
    const delayMs = retryDelayMs(retryBackoff, attempts, this.deps.random(), outcome.retryAfterMs);
    const { connectionId, providerId } = revocation;
    this.deps.log.warn(
      { connectionId, providerId, reason: outcome.reason, attempts },
      "token not revoked at the provider yet",
    );
    // When the token dies it is looked at again, and given up.
    const nextAttemptMs = Math.min(nowMs + delayMs, revocation.tokenExpiresAtMs ?? Number.POSITIVE_INFINITY);
    await this.deps.store.commit((tx) => {
      // It may have been sealed again meanwhile.
      const current = tx.revocations.get(revocation.id);
      if (current) tx.revocations.put({ ...current, attempts, nextAttemptMs });
    });
  }

  async #ask(revocation: PendingRevocation, signal: AbortSignal): Promise<RevocationOutcome> {
    const { tokenExpiresAtMs } = revocation;
    if (tokenExpiresAtMs !== undefined && this.deps.clock.nowMs() >= tokenExpiresAtMs) {
      return { kind: "refused", reason: tokenExpired };
    }
    try {
      const profile = this.deps.store.getProvider(revocation.providerId);
      if (!profile) return { kind: "refused", reason: "provider_deleted" };
      const token = this.deps.vault.openToken(revocationPlace(revocation.id, revocation), revocation.sealed);
      const server = await this.deps.servers.resolve(profile);
      const endpoint = profile.oauth2.revocationUrl || server.revocationEndpoint;
      if (endpoint === undefined) return { kind: "refused", reason: "no_revocation_endpoint" };
      const { tokenTypeHint } = revocation;
      const boundTo = revocation.binding;
      return await this.deps.grants.revoke({
        server,
        endpoint,
        profile,
        token,
        tokenTypeHint,
        signal,
        boundTo,
      });
    } catch (error) {
      if (error instanceof DataLoss) return { kind: "refused", reason: "data_loss" };
      if (error instanceof GrantMoved) return { kind: "refused", reason: "provider_changed" };
      if (!(error instanceof NexusError)) throw error;
      return { kind: "retry", reason: error.kind, retryAfterMs: undefined };
    }
  }

  async #finish(
    revocation: PendingRevocation,
    outcome: Exclude<RevocationOutcome, { kind: "retry" }>,
  ): Promise<void> {
    const { id, connectionId, providerId, revision } = revocation;
    const event = {
      timeMs: this.deps.clock.nowMs(),
      principal: daemon.name,
      connectionId,
      providerId,
      revision,
    };
    await this.deps.store.commit((tx) => {
      tx.revocations.delete(id);
      const connection = tx.getConnection(connectionId);
      if (connection?.status === "revoked") {
        tx.putUnannounced({ ...connection, providerRevocation: endOf(outcome) });
      }
      if (outcome.kind === "revoked") tx.appendAudit({ ...event, type: "revoked_at_provider" });
      else tx.appendAudit({ ...event, type: "revocation_given_up", reason: outcome.reason });
    });
    if (outcome.kind === "revoked")
      this.deps.log.info({ connectionId, providerId }, "token revoked at the provider");
    else if (outcome.reason === tokenExpired)
      this.deps.log.info(
        { connectionId, providerId },
        "token expired before it could be revoked at the provider",
      );
    else
      this.deps.log.warn(
        { connectionId, providerId, reason: outcome.reason },
        "token cannot be revoked at the provider: it may live there until it expires",
      );
  }
}

function endOf(outcome: Exclude<RevocationOutcome, { kind: "retry" }>): ProviderRevocation {
  if (outcome.kind === "revoked") return "done";
  return outcome.reason === tokenExpired ? "not_needed" : "not_possible";
}
