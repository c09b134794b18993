import { createHash } from "node:crypto";
import { type AuditEvent, by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { newConnection } from "../../model/connections/new_connection.js";
import type { ImportedToken, PendingImport } from "../../model/connections/pending_import.js";
import type { StaticCredential, TokenSet } from "../../model/credentials/credential.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NexusError,
  NotFound,
  Unavailable,
} from "../../model/errors.js";
import { newId } from "../../model/ids.js";
import { defaultLimits, type Limits } from "../../model/limits.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { importDeferredUntilMs } from "../../model/refresh/foreign_intent.js";
import { GrantFailure } from "../../oauth/failure.js";
import { KeyedMutex } from "../../runtime/keyed_mutex.js";
import { Secret } from "../../runtime/secret.js";
import type { Transaction } from "../../store/transaction.js";
import {
  type CredentialWriter,
  importPlace,
  refuseMoreConnections,
  refuseTakenId,
  refuseTakenLabel,
  type VaultParts,
} from "../connections/connections.js";
import type { TokenSpool } from "../grants/grants.js";
import type { CredentialTrial } from "../profiles/profiles.js";
import {
  type IssuerMetadata,
  refreshKey,
  type TokenEndpointClient,
  type TokenSources,
} from "../token_endpoint/token_endpoint.js";
import { checkImportRequest, type ImportRequest, importFailure } from "./import_request.js";

/**
 * Makes connections of credentials that another system holds. A refresh token is proved by redeeming it, which may rotate it, so that the
 * copy of the other system can be worthless from then on. So it is sealed into a journal before it is sent, beside the id of its future
 * connection. No connection is seen before the proof, and nothing of it stays if the proof fails. What it brings is held in the spool until
 * it is durable. What a crash leaves in the journal is settled by `ImportRecovery`. The entry of a finished import stays, without the
 * token, so that a caller that lost the answer and asks again finds the connection. The token is not sent a second time: at a provider that
 * rotates, that would end the grant.
 */
export class ConnectionImporter {
  readonly #limits: Limits;
  /** By key of an entry, and by id of the connection that an import is to make. */
  readonly #locks = new KeyedMutex<string>();

  constructor(
    private readonly deps: VaultParts & {
      readonly writer: CredentialWriter;
      readonly servers: IssuerMetadata;
      readonly grants: Pick<TokenEndpointClient, "refresh">;
      readonly spool: TokenSpool;
      readonly sources: TokenSources;
      readonly checkFields: CredentialTrial["check"];
      readonly limits?: Limits;
    },
  ) {
    this.#limits = deps.limits ?? defaultLimits;
  }

  /** @throws NotFound, InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable; then nothing is stored */
  async import(request: ImportRequest, principal: Principal): Promise<Connection> {
    const profile = this.deps.store.getProvider(request.providerId);
    if (!profile) throw new NotFound("provider");
    checkImportRequest(profile, request);
    const { refreshToken, idToken } = request;
    if (idToken !== undefined)
      return await this.deps.sources.importIdToken(profile, request, idToken, principal);
    const { id } = request;
    const run = () =>
      refreshToken === undefined
        ? this.#importAsItIs(profile, request, principal)
        : this.#importRefreshToken(profile, request, refreshToken, principal);
    return id === undefined ? await run() : await this.#locks.run(id, run);
  }

  async #importRefreshToken(
    profile: ProviderProfile,
    request: ImportRequest,
    refreshToken: Secret,
    principal: Principal,
  ): Promise<Connection> {
    const server = await this.deps.servers.resolve(profile);
    const key = this.#keyOf(profile.id, refreshToken);
    return await this.#locks.run(key, async () => {
      const before = await this.#entryOf(key);
      const known = before && this.deps.store.getConnection(before.connectionId);
      if (before && before.userId !== request.userId && (before.sealed || known)) {
        throw new InvalidArgument([
          { field: "user_id", description: "the token was imported for another user" },
        ]);
      }
      if (
        before &&
        request.id !== undefined &&
        before.connectionId !== request.id &&
        (before.sealed || known)
      ) {
        const description = `the token was imported as ${before.connectionId}: use it, or delete it before`;
        throw new InvalidArgument([{ field: "id", description }]);
      }
      if (known && known.status !== "revoked") return known;
      const untilMs = before?.sealed && importDeferredUntilMs(before, this.deps.store.owner);
      const nowMs = this.deps.clock.nowMs();
      if (untilMs !== undefined && untilMs > nowMs)
        throw new Unavailable("another daemon was importing this token: ask again later", untilMs - nowMs);
      // A caller that imports the token again imports it for the profile as it is now.
      const dpopKey = this.#keptKey(key, before) ?? refreshKey(profile, server, undefined);
      const token = { refreshToken, dpopKey };
      const pending = before?.sealed
        ? {
            ...before,
            ...this.deps.vault.sealImport(key, before, token),
            binding: grantBinding(profile),
            owner: this.deps.store.owner,
          }
        : this.#pendingImport(key, profile, request, token, principal);
      await this.deps.store.commit((tx) => {
        // Before the token is sent: what it brings back is stored whatever the count is by then.
        if (!before?.sealed) {
          refuseMoreConnections(tx, request.userId, this.#limits);
          refuseTakenLabel(tx, request);
          refuseTakenId(tx, request.id);
        }
        tx.putImport(key, pending);
      });
      return await this.#redeem(key, pending, profile, token);
    });
  }

  /**
   * Goes on with an import that a crash cut off.
   *
   * @throws NexusError when it was refused, and its entry is gone, or when it must be tried again, and its entry is still there
   */
  async resume(key: string): Promise<void> {
    await this.#locks.run(key, async () => {
      const pending = await this.#entryOf(key);
      if (!pending?.sealed) return;
      const profile = this.deps.store.getProvider(pending.providerId);
      if (!profile) return await this.#drop(key, pending, "provider_deleted");
      if (pending.binding !== undefined && pending.binding !== grantBinding(profile)) {
        return await this.#drop(key, pending, "provider_changed");
      }
      // Only a copy of an older state can say that it is not done: its token has been redeemed.
      if (this.deps.store.getConnection(pending.connectionId)) {
        return await this.deps.store.commit((tx) => tx.putImport(key, { ...pending, sealed: undefined }));
      }
      const token = this.deps.vault.openImport(key, { ...pending, sealed: pending.sealed });
      const { owner } = this.deps.store;
      await this.#locks.run(pending.connectionId, async () => {
        if (pending.owner !== owner)
          await this.deps.store.commit((tx) => tx.putImport(key, { ...pending, owner }));
        await this.#redeem(key, pending, profile, token, "resumed");
      });
    });
  }

  /** Ends an import that could not be resumed. */
  async abandon(key: string, reason: string): Promise<void> {
    const pending = this.deps.store.getImport(key);
    if (pending?.sealed) await this.#drop(key, pending, reason);
  }

  /** The entry, after what its redemption brought and no commit took is stored. */
  async #entryOf(key: string): Promise<PendingImport | undefined> {
    const { store, spool } = this.deps;
    const entry = store.getImport(key);
    if (entry?.sealed) await spool.settle(entry.connectionId);
    return store.getImport(key);
  }

  async #redeem(
    key: string,
    pending: PendingImport,
    profile: ProviderProfile,
    token: ImportedToken,
    mode: "first" | "resumed" = "first",
  ): Promise<Connection> {
    const tokenSet = await this.#proved(key, pending, profile, token, mode);
    const { spool, writer, clock } = this.deps;
    const receivedAtMs = clock.nowMs();
    const blank = {
      ...newConnection(pending.connectionId, pending, profile, receivedAtMs),
      requestedScopes: pending.scopes,
      grantedScopes: pending.scopes,
      consentedScopes: pending.scopes,
    };
    const { refreshToken } = token;
    const redeemed = { accessToken: new Secret(""), refreshToken, tokenType: "", idToken: undefined };
    const compose = () =>
      writer.compose({ connection: blank, profile, tokenSet, previous: redeemed, receivedAtMs });
    spool.hold(blank.id, () => ({ grant: "import", ...compose(), attempt: key }));
    return await spool.commit(blank.id, (tx) => {
      const written = writer.put(tx, compose());
      tx.putImport(key, { ...pending, sealed: undefined });
      const revision = written.credentialRevision;
      tx.appendAudit({ ...this.#event(pending, "connection.imported"), revision });
      return written;
    });
  }

  /** @throws NexusError when the token was not redeemed, as far as is known: its entry is gone then, unless another attempt may succeed */
  async #proved(
    key: string,
    pending: PendingImport,
    profile: ProviderProfile,
    { refreshToken, dpopKey }: ImportedToken,
    mode: "first" | "resumed",
  ): Promise<TokenSet> {
    try {
      const server = await this.deps.servers.resolve(profile);
      // Point of no return: from here on the provider may have rotated the token.
      const { tokenSet, accessTokenViolation } = await this.deps.grants.refresh({
        server,
        profile,
        refreshToken,
        subject: undefined,
        userId: pending.userId,
        label: pending.label,
        scopes: pending.scopes,
        grantedScopes: pending.scopes,
        boundTo: pending.binding,
        dpopKey,
      });
      if (accessTokenViolation === undefined) return tokenSet;
      const context = { providerId: profile.id, connectionId: pending.connectionId };
      this.deps.log.warn(
        { ...context, detail: accessTokenViolation },
        "an import brought a token that is not served",
      );
      // Its refresh token counts, and is sent for a better one at once.
      return { ...tokenSet, accessToken: new Secret(""), expiresInMs: 0 };
    } catch (error) {
      if (!(error instanceof GrantFailure)) {
        // Nothing was sent: these come from what is opened and resolved before.
        if (mode === "first" && error instanceof NexusError) await this.#drop(key, pending, error.kind);
        throw error;
      }
      const { failure, reason, isFinal } = importFailure(error, mode);
      // A caller still has the token and asks again; after a crash nobody else has it.
      if (mode === "first" || isFinal) await this.#drop(key, pending, reason);
      throw failure;
    }
  }

  async #drop(key: string, pending: PendingImport, reason: string): Promise<void> {
    this.deps.log.warn({ providerId: pending.providerId, reason }, "credential not imported");
    const { connectionId: _, ...event } = this.#event(pending, "connection.import_failed");
    await this.deps.store.commit((tx) => {
      tx.deleteImport(key);
      tx.appendAudit({ ...event, reason });
    });
  }

  /** What no request to a token endpoint proves: fields of a static type, and an access token. */
  async #importAsItIs(
    profile: ProviderProfile,
    request: ImportRequest,
    principal: Principal,
  ): Promise<Connection> {
    const nowMs = this.deps.clock.nowMs();
    const { accessToken } = request;
    const write = accessToken
      ? accessTokenWriter(this.deps.writer, profile, request, accessToken, nowMs)
      : await this.#fieldsWriter(profile, request, principal);
    const event = { timeMs: nowMs, ...by(principal), providerId: profile.id };
    const blank = newConnection(request.id ?? newId(), request, profile, nowMs);
    return await this.deps.store.commit((tx) => {
      if (tx.getProvider(profile.id)?.version !== profile.version) throw new NotFound("provider");
      refuseMoreConnections(tx, request.userId, this.#limits);
      refuseTakenLabel(tx, request);
      refuseTakenId(tx, request.id);
      const written = write(tx, blank);
      const revision = written.credentialRevision;
      tx.appendAudit({ ...event, type: "connection.imported", connectionId: blank.id, revision });
      return written;
    });
  }

  async #fieldsWriter(
    profile: ProviderProfile,
    request: ImportRequest,
    principal: Principal,
  ): Promise<Write> {
    let credential: StaticCredential;
    try {
      credential = await this.deps.checkFields(profile, request.fields);
    } catch (error) {
      if (error instanceof FailedPrecondition) {
        const event = { timeMs: this.deps.clock.nowMs(), ...by(principal), providerId: profile.id };
        const failed = { ...event, type: "connection.import_failed", reason: "credential_rejected" } as const;
        await this.deps.store.commit((tx) => tx.appendAudit(failed));
      }
      throw error;
    }
    return (tx, blank) => this.deps.writer.writeFields(tx, blank, profile, credential);
  }

  /** Of an import that was cut off: what its request brought may be bound to it. */
  #keptKey(key: string, before: PendingImport | undefined): Secret | undefined {
    const { sealed, keyed } = before ?? {};
    if (!before || !sealed || keyed !== true || !this.deps.vault.opens(importPlace(key, before), sealed)) {
      return undefined;
    }
    return this.deps.vault.openImport(key, { ...before, sealed }).dpopKey;
  }

  #pendingImport(
    key: string,
    profile: ProviderProfile,
    request: ImportRequest,
    token: ImportedToken,
    principal: Principal,
  ): PendingImport {
    const startedAtMs = this.deps.clock.nowMs();
    const place = { connectionId: request.id ?? newId(), providerId: profile.id, startedAtMs };
    return {
      ...place,
      userId: request.userId,
      label: request.label,
      scopes: request.scopes.length > 0 ? request.scopes : profile.scopes,
      principal,
      ...this.deps.vault.sealImport(key, place, token),
      binding: grantBinding(profile),
      owner: this.deps.store.owner,
    };
  }

  #event(pending: PendingImport, type: AuditEvent["type"]): AuditEvent {
    const { connectionId, providerId, principal } = pending;
    return { timeMs: this.deps.clock.nowMs(), type, ...by(principal), connectionId, providerId };
  }

  /** Salted with the id of the store: the same token has another key in another store. */
  #keyOf(providerId: string, refreshToken: Secret): string {
    const parts = [this.deps.store.databaseId, providerId, refreshToken.reveal()];
    return createHash("sha256").update(parts.join("\n")).digest("hex");
  }
}

type Write = (tx: Transaction, blank: Connection) => Connection;

/** @throws InvalidArgument where the token is expired */
function accessTokenWriter(
  writer: CredentialWriter,
  profile: ProviderProfile,
  request: ImportRequest,
  accessToken: Secret,
  nowMs: number,
): Write {
  const { expiresAtMs } = request;
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    const description = "has passed: without a refresh token, the user must consent again";
    throw new InvalidArgument([{ field: "access_token_expires_at", description }]);
  }
  const scopes = request.scopes.length > 0 ? request.scopes : profile.scopes;
  const tokenSet: TokenSet = {
    ...{ accessToken, refreshToken: undefined, tokenType: "Bearer", idToken: undefined },
    expiresInMs: expiresAtMs === undefined ? undefined : expiresAtMs - nowMs,
    ...{ scopes: undefined, subject: undefined },
  };
  const granted = { requestedScopes: scopes, grantedScopes: scopes, consentedScopes: scopes };
  return (tx, blank) =>
    writer.write(tx, { connection: { ...blank, ...granted }, profile, tokenSet, receivedAtMs: nowMs });
}
