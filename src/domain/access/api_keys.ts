import { type Role, roles } from "../../model/access/access_table.js";
import {
  type ApiKeyRecord,
  isLive,
  keyPrincipalName,
  leaseFrom,
  maxApiKeys,
} from "../../model/access/api_key.js";
import { by } from "../../model/access/audit_event.js";
import type { Principal } from "../../model/access/principal.js";
import { type Restriction, restrictionViolations } from "../../model/access/scope_restriction.js";
import type { UseLimit } from "../../model/access/use_limit.js";
import { AlreadyExists, FailedPrecondition, InvalidArgument, NotFound } from "../../model/errors.js";
import type { Changes } from "../../runtime/changes.js";
import type { Secret } from "../../runtime/secret.js";
import { apiKeyId, matchesDigest, newApiKey } from "../../vault/api_key.js";
import type { StoreParts } from "../connections/connections.js";
import { Leases } from "./leases.js";

/** The use of a key is noted this coarsely, so that no call waits for the disk. */
const lastUseMs = 3_600_000;

export interface NewApiKey {
  readonly name: string;
  readonly role: Role;
  readonly restriction: Restriction | undefined;
  readonly expiresAtMs: number | undefined;
  /** How long it lives without being renewed. */
  readonly leaseMs?: number | undefined;
  readonly uses?: UseLimit | undefined;
}

interface KeyEntry {
  record: ApiKeyRecord;
  readonly principal: Principal;
  /** Of `lastUseMs`, as it was noted last. */
  lastUsedHour: number;
}

export interface ApiKeysDeps extends StoreParts {
  readonly changes: Changes;
}

/** The API keys: made, returned once, verified, revoked. All of them are held in memory, so that a call costs one digest. */
export class ApiKeys {
  readonly #byId = new Map<string, KeyEntry>();
  readonly #byName = new Map<string, KeyEntry>();
  readonly leases: Leases;

  constructor(private readonly deps: ApiKeysDeps) {
    this.leases = new Leases({
      ...deps,
      find: (name) => this.find(name),
      keep: (record) => this.#keep(record),
    });
    for (const record of deps.store.listApiKeys()) this.#add(record);
    deps.changes.on("followed", ({ apiKeyIds }) => this.#followed(apiKeyIds));
  }

  /**
   * Who shows this key; undefined when it is none of ours, revoked or expired. What it shows is compared in constant time, and an
   * unknown id takes as long as a wrong secret.
   */
  verify(text: string): Principal | undefined {
    const id = apiKeyId(text);
    if (id === undefined) return undefined;
    const entry = this.#byId.get(id);
    const nowMs = this.deps.clock.nowMs();
    const old = entry?.record.old;
    const isOld = old !== undefined && matchesDigest(text, old.digest) && nowMs < old.untilMs;
    if (!(matchesDigest(text, entry?.record.digest) || isOld) || entry === undefined) return undefined;
    if (!isLive(entry.record, nowMs)) return undefined;
    const hour = Math.floor(nowMs / lastUseMs);
    if (hour !== entry.lastUsedHour) this.#noteUse(entry, hour);
    const { principal } = entry;
    return isOld
      ? { ...principal, expiresAtMs: Math.min(principal.expiresAtMs ?? old.untilMs, old.untilMs) }
      : principal;
  }

  /** The record of a key, revoked or not. */
  find(name: string): ApiKeyRecord | undefined {
    return this.#byName.get(name)?.record;
  }

  /** In the order of the names. */
  list(options: {
    readonly afterName: string | undefined;
    readonly limit: number;
    readonly includeRevoked: boolean;
  }): ApiKeyRecord[] {
    const { afterName, limit, includeRevoked } = options;
    return [...this.#byName.values()]
      .map(({ record }) => record)
      .filter(({ name, revokedAtMs }) => {
        return (includeRevoked || revokedAtMs === undefined) && (afterName === undefined || name > afterName);
      })
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .slice(0, limit);
  }

  /** @throws InvalidArgument, AlreadyExists, FailedPrecondition (TOO_MANY_API_KEYS) */
  async create(
    { leaseMs, ...wanted }: NewApiKey,
    principal: Principal,
  ): Promise<{ readonly record: ApiKeyRecord; readonly key: Secret }> {
    const nowMs = this.deps.clock.nowMs();
    refuseViolations(wanted, nowMs);
    const { id, key, digest } = newApiKey();
    const record: ApiKeyRecord = {
      ...wanted,
      id,
      digest,
      old: undefined,
      lease: leaseMs === undefined ? undefined : leaseFrom(nowMs, leaseMs, wanted.expiresAtMs),
      createdAtMs: nowMs,
      createdBy: principal.name,
      revokedAtMs: undefined,
      revokedBy: undefined,
      lastUsedAtMs: undefined,
    };
    await this.deps.store.commit((tx) => {
      // Commits run one after the other, and what an earlier one wrote is held from its `then` on: look at the store itself.
      const names = tx.listApiKeys();
      if (names.some(({ name }) => name === record.name)) {
        throw new AlreadyExists(`a key has or had the name "${record.name}": names are given once`);
      }
      if (names.length >= maxApiKeys) {
        throw new FailedPrecondition("TOO_MANY_API_KEYS", `a store holds at most ${maxApiKeys} API keys`);
      }
      tx.putApiKey(record);
      tx.appendAudit({ timeMs: nowMs, type: "api_key.created", ...by(principal), reason: nameOf(record) });
    });
    this.#add(record);
    return { record, key };
  }

  /** Gives a key another secret. @param keepOldMs how long the old one works; 0 for not at all. @throws NotFound for one that has ended, too */
  async rotate(
    which: { readonly id: string } | { readonly name: string },
    keepOldMs: number,
    principal: Principal,
  ): Promise<{ readonly record: ApiKeyRecord; readonly key: Secret }> {
    const entry = this.#entryOf(which);
    const nowMs = this.deps.clock.nowMs();
    const { key, digest } = newApiKey(entry.record.id);
    const record = await this.deps.store.commit((tx) => {
      const before = tx.getApiKey(entry.record.id);
      if (!before || !isLive(before, nowMs)) throw new NotFound("api_key");
      const old = keepOldMs === 0 ? undefined : { digest: before.digest, untilMs: nowMs + keepOldMs };
      const rotated = { ...before, digest, old };
      tx.putApiKey(rotated);
      tx.appendAudit({ timeMs: nowMs, type: "api_key.rotated", ...by(principal), reason: nameOf(before) });
      return rotated;
    });
    this.#keep(record);
    this.#rotated(record);
    return { record, key };
  }

  #rotated(record: ApiKeyRecord): void {
    if (record.old) this.deps.changes.emit("keyRotated", nameOf(record), record.old.untilMs);
    else this.deps.changes.emit("principalEnded", nameOf(record));
  }

  /** @throws NotFound */
  #entryOf(which: { readonly id: string } | { readonly name: string }): KeyEntry {
    const entry = "id" in which ? this.#byId.get(which.id) : this.#byName.get(which.name);
    if (!entry) throw new NotFound("api_key");
    return entry;
  }

  /** @throws NotFound */
  async revoke(
    which: { readonly id: string } | { readonly name: string },
    principal: Principal,
  ): Promise<ApiKeyRecord> {
    const entry = this.#entryOf(which);
    const nowMs = this.deps.clock.nowMs();
    const record = await this.deps.store.commit((tx) => {
      const before = tx.getApiKey(entry.record.id);
      if (!before) throw new NotFound("api_key");
      if (before.revokedAtMs !== undefined) return before;
      const revoked = { ...before, revokedAtMs: nowMs, revokedBy: principal.name };
      tx.putApiKey(revoked);
      tx.appendAudit({ timeMs: nowMs, type: "api_key.revoked", ...by(principal), reason: nameOf(before) });
      return revoked;
    });
    this.#keep(record);
    return record;
  }

  /** This is the record of a known key now; what uses a key that it revokes ends. */
  #keep(record: ApiKeyRecord): void {
    const entry = this.#byId.get(record.id);
    if (!entry) return;
    const wasRevoked = entry.record.revokedAtMs !== undefined;
    entry.record = record;
    this.leases.watch(record);
    // Also of a hub that saw a lease end before it saw its renewal: nothing may hold on to what it knew then.
    if (wasRevoked !== (record.revokedAtMs !== undefined))
      this.deps.changes.emit("principalEnded", nameOf(record));
  }

  /** The leader of the fleet made, revoked or used these keys. */
  #followed(ids: readonly string[]): void {
    for (const id of ids) {
      const record = this.deps.store.getApiKey(id);
      const known = this.#byId.get(id);
      if (record && !known) this.#add(record);
      if (!record && known) this.#drop(known);
      if (!record || !known) continue;
      const isRotated = Buffer.compare(known.record.digest, record.digest) !== 0;
      this.#keep(record);
      if (isRotated && record.revokedAtMs === undefined) this.#rotated(record);
    }
  }

  /** Its record cannot be read any more: nobody knows what it may do. */
  #drop({ record, principal }: KeyEntry): void {
    this.#byId.delete(record.id);
    this.#byName.delete(record.name);
    this.deps.changes.emit("principalEnded", principal.name);
  }

  #add(record: ApiKeyRecord): void {
    const { expiresAtMs, lastUsedAtMs } = record;
    const principal: Principal = {
      name: nameOf(record),
      kind: "key",
      ...(expiresAtMs !== undefined && { expiresAtMs }),
    };
    const lastUsedHour = lastUsedAtMs === undefined ? -1 : Math.floor(lastUsedAtMs / lastUseMs);
    const entry = { record, principal, lastUsedHour };
    this.#byId.set(record.id, entry);
    this.#byName.set(record.name, entry);
    this.leases.watch(record);
  }

  /** Nobody waits for it, and a use that could not be noted is noted in the next hour. */
  #noteUse(entry: KeyEntry, hour: number): void {
    entry.lastUsedHour = hour;
    const lastUsedAtMs = Math.max(hour * lastUseMs, entry.record.createdAtMs);
    this.deps.store
      .record((tx) => tx.useApiKey(entry.record.id, lastUsedAtMs))
      .then(
        () => {
          // A revocation that was committed meanwhile stays.
          entry.record = { ...entry.record, lastUsedAtMs };
        },
        (error: unknown) => this.deps.log.error({ err: error }, "the use of an API key could not be noted"),
      );
  }
}

function nameOf({ name }: ApiKeyRecord): string {
  return keyPrincipalName(name);
}

function refuseViolations({ role, restriction, expiresAtMs }: NewApiKey, nowMs: number): void {
  const violations =
    role === "agent"
      ? restrictionViolations(restriction ?? {}).map(({ field, description }) => ({
          field: field === "" ? "restriction" : `restriction.${field}`,
          description,
        }))
      : restriction
        ? [{ field: "restriction", description: `is for agents, not for the role ${role}` }]
        : [];
  if (!roles.includes(role)) violations.push({ field: "role", description: "is required" });
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    violations.push({ field: "expires_at", description: "must lie in the future" });
  }
  if (violations.length > 0) throw new InvalidArgument(violations);
}
