import { daemon } from "../../model/access/principal.js";
import type {
  DueRevocation,
  PendingRevocation,
  ProviderRevocation,
} from "../../model/connections/revocation.js";
import { DataLoss, NexusError } from "../../model/errors.js";
import type { RevocationOutcome } from "../../oauth/grants/revocation.js";
import { type Backoff, fullJitterMs } from "../../runtime/backoff.js";
import type { Changes } from "../../runtime/changes.js";
import { delay, type Timer } from "../../runtime/clock.js";
import { revocationPlace } from "../credentials/associated_data.js";
import type { VaultParts } from "../credentials/parts.js";
import type { IssuerMetadata } from "../token_endpoint/issuer_metadata.js";
import { GrantMoved, type TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import type { RevocationQueue } from "./revocation_queue.js";

/**
 * A provider that does not answer for so long is left alone; by then most unused refresh tokens have expired. An access token is
 * given up when it dies.
 */
const giveUpAfterMs = 7 * 24 * 60 * 60_000;
const retryBackoff: Backoff = { baseMs: 5_000, maxMs: 60 * 60_000 };
/** Full jitter may draw 0; a provider is not asked again sooner than this. */
const minRetryMs = 1_000;
/** The queue is looked at this often even when nothing is due. */
const maxSleepMs = 30_000;
/** Anyone who ends a connection waits so long to learn what the provider says. */
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
  /** What is under way. */
  readonly #running = new Map<
    string,
    { readonly connectionId: string; readonly providerId: string; readonly ended: Promise<void> }
  >();
  readonly #stop = new AbortController();
  #timer: Timer | undefined;
  #started = false;

  constructor(
    private readonly deps: VaultParts & {
      readonly servers: Pick<IssuerMetadata, "resolve">;
      readonly grants: Pick<TokenEndpointClient, "revoke">;
      readonly revocations: RevocationQueue;
      readonly changes: Changes;
      readonly random: () => number;
    },
  ) {
    // Few commits put a token into the queue.
    deps.changes.on("connections", () => {
      if (deps.revocations.consumeDirtyFlag()) this.wake();
    });
  }

  start(): void {
    this.#started = true;
    this.wake();
  }

  /** Looks at the queue. */
  wake(): void {
    if (!this.#started || this.#stop.signal.aborted) return;
    const nowMs = this.deps.clock.nowMs();
    const entries = this.deps.store.revocations.due(2 * perProvider);
    this.#fill(entries.filter(({ nextAttemptMs }) => nextAttemptMs <= nowMs));
    this.#timer?.cancel();
    // What had no room is looked at when something ends.
    const nextMs = Math.min(...entries.map((each) => each.nextAttemptMs).filter((atMs) => atMs > nowMs));
    this.#timer = this.deps.clock.setTimer(Math.min(maxSleepMs, nextMs - nowMs), () => this.wake());
  }

  /** Cuts off what is under way: it stays in the queue. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#timer?.cancel();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Resolves when the attempts under way for a connection are over and stored, after 2 s at the latest. */
  async attempted(connectionId: string): Promise<void> {
    const mine = [...this.#running.values()].filter((running) => running.connectionId === connectionId);
    if (mine.length === 0) return;
    const over = new AbortController();
    const ended = Promise.all(mine.map((running) => running.ended)).finally(() => over.abort());
    await Promise.race([ended, delay(this.deps.clock, answerWaitMs, over.signal)]);
  }

  /** A second request at a provider comes after the first at each other one, and so on: however many hang, the others have room. */
  #fill(due: readonly DueRevocation[]): void {
    for (let there = 0; there < perProvider; there++) {
      for (const { id, providerId } of due) {
        if (this.#running.size >= maxRunning) return;
        if (this.#running.has(id) || this.#runningAt(providerId) !== there) continue;
        const revocation = this.deps.store.revocations.get(id);
        if (revocation) this.#run(revocation);
      }
    }
  }

  #runningAt(providerId: string): number {
    let count = 0;
    for (const running of this.#running.values()) if (running.providerId === providerId) count++;
    return count;
  }

  #run(revocation: PendingRevocation): void {
    const { id, connectionId, providerId } = revocation;
    const ended = this.#attempt(revocation)
      .catch((error: unknown) => this.deps.log.error({ err: error, revocationId: id }, "revocation failed"))
      .finally(() => {
        this.#running.delete(id);
        this.wake();
      });
    this.#running.set(id, { connectionId, providerId, ended });
  }

  async #attempt(revocation: PendingRevocation): Promise<void> {
    const outcome = await this.#ask(revocation);
    if (this.#stop.signal.aborted && outcome.kind === "retry") return;
    if (outcome.kind !== "retry") return await this.#finish(revocation, outcome);
    const nowMs = this.deps.clock.nowMs();
    if (nowMs - revocation.createdAtMs >= giveUpAfterMs) {
      return await this.#finish(revocation, { kind: "refused", reason: outcome.reason });
    }
    const attempts = revocation.attempts + 1;
    const delayMs = Math.max(
      minRetryMs,
      outcome.retryAfterMs ?? 0,
      fullJitterMs(retryBackoff, attempts, this.deps.random()),
    );
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

  async #ask(revocation: PendingRevocation): Promise<RevocationOutcome> {
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
      const { signal } = this.#stop;
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
