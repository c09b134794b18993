import type { ApiKeyRecord } from "../model/access/api_key.js";
import type { PendingAuthorization } from "../model/connections/authorization.js";
import {
  type Connection,
  type ConnectionStatus,
  connectionStatuses,
} from "../model/connections/connection.js";
import type { NameParts } from "../model/connections/connection_name.js";
import type { PendingImport } from "../model/connections/pending_import.js";
import type { SealedCredential } from "../model/credentials/credential.js";
import {
  canonicalName,
  type ProviderKey,
  type ProviderProfile,
} from "../model/providers/provider_profile.js";
import type { Suspension } from "../model/providers/suspension.js";
import { lastRevision } from "./indexes/change_log.js";
import { idsNamed } from "./indexes/name_index.js";
import { nameInKey, readNumber } from "./indexes/numbers.js";
import { type Databases, decodeCount, encodeCount } from "./lmdb/databases.js";
import { decodeApiKey } from "./records/api_key_codec.js";
import { decodedConnection, type StoredConnection } from "./records/connection_codec.js";
import { encodeStateHash } from "./records/field_codec.js";
import { decodeImport } from "./records/journal_codec.js";
import { type Change, decodeChange, decodeDiscovery, type StoredDiscovery } from "./records/log_codec.js";
import { decodedProvider } from "./records/provider_codec.js";
import { decodeAuthorization, decodeSealedCredential } from "./records/sealed_codec.js";
import { decodeSuspension } from "./records/suspension_codec.js";
import { readable, unlessUnreadable, unreadableConnection } from "./records/unreadable.js";

export interface ProviderPage {
  /** Starts after this name. */
  readonly afterName?: string | undefined;
  readonly namePrefix?: string | undefined;
  /** Leaves out the others. */
  readonly matches?: (profile: ProviderProfile) => boolean;
  /** At least 1. */
  readonly limit: number;
}

export interface ConnectionPage {
  /** Starts after this id. */
  readonly afterId?: string | undefined;
  /** Only connections of this provider. */
  readonly providerId?: string | undefined;
  /** Only connections whose id begins so. */
  readonly idPrefix?: string | undefined;
  /** At least 1. */
  readonly limit: number;
}

/** One entry of the queue of the scheduler. */
export interface DueEntry {
  readonly connectionId: string;
  readonly dueAtMs: number;
}

/**
 * Decodes what it finds; inside a transaction it finds that transaction's writes, outside of one the newest
 * durable commit.
 */
export abstract class Reads {
  protected abstract readonly databases: Databases;

  /** @throws DataLoss when the record cannot be read */
  getProvider(id: string): ProviderProfile | undefined {
    const bytes = this.databases.providers.getBinary(id);
    return bytes && readable("provider profile", () => decodedProvider(id, bytes));
  }

  findProviderIdByName(name: string): string | undefined {
    return this.databases.providerNames.getBinary(name)?.toString("utf8");
  }

  findProviderByName(name: string): ProviderProfile | undefined {
    const id = this.findProviderIdByName(name);
    return id === undefined ? undefined : this.getProvider(id);
  }

  /** A name is taken as anybody writes it. @throws DataLoss as `getProvider` */
  findProvider(key: ProviderKey): ProviderProfile | undefined {
    return "id" in key ? this.getProvider(key.id) : this.findProviderByName(canonicalName(key.name));
  }

  /** Undefined when there is no such profile. One that cannot be read is looked up among all names. */
  providerNameOf(id: string): string | undefined {
    const { providers, providerNames } = this.databases;
    const name = unlessUnreadable(() => this.getProvider(id)?.name);
    if (name !== undefined || !providers.doesExist(id)) return name;
    for (const { key } of providerNames.getRange({})) if (this.findProviderIdByName(key) === id) return key;
    return undefined;
  }

  /** In the order of the names. */
  listProviders({ afterName, namePrefix = "", matches, limit }: ProviderPage): ProviderProfile[] {
    const start = afterName !== undefined && afterName >= namePrefix ? afterName : namePrefix;
    const profiles: ProviderProfile[] = [];
    const range = this.databases.providerNames.getRange(start === "" ? {} : { start });
    for (const { key, value } of range) {
      if (!key.startsWith(namePrefix) || profiles.length >= limit) break;
      if (key === afterName) continue;
      const profile = unlessUnreadable(() => this.getProvider(Buffer.from(value).toString("utf8")));
      if (profile !== undefined && (matches?.(profile) ?? true)) profiles.push(profile);
    }
    return profiles;
  }

  /** One that cannot be read is answered as `unreadableConnection`. */
  getStoredConnection(id: string): StoredConnection | undefined {
    const bytes = this.databases.connections.getBinary(id);
    return bytes && connectionOf(id, bytes);
  }

  getConnection(id: string): Connection | undefined {
    return this.getStoredConnection(id)?.connection;
  }

  /** The ids of a name, the one that it names first; see `nexus.v1.ConnectionName`. */
  idsNamed(name: NameParts): Iterable<string> {
    return idsNamed(this.databases, name);
  }

  /** In their order. @param limit at least 1 */
  connectionIds(afterId: string | undefined, limit: number): string[] {
    const start = afterId === undefined ? {} : { start: afterId, exclusiveStart: true };
    return Array.from(this.databases.connections.getKeys({ ...start, limit }));
  }

  /** In the order of the ids. */
  listConnections(page: ConnectionPage): Connection[] {
    const { afterId, idPrefix = "", limit } = page;
    const start = afterId !== undefined && afterId >= idPrefix ? afterId : idPrefix;
    if (page.providerId !== undefined) return this.#listConnectionsOf(page.providerId, start, page);
    const range = this.databases.connections.getRange({
      ...(start === "" ? {} : { start, exclusiveStart: start === afterId }),
      // Behind every digit that an id may have.
      ...(idPrefix === "" ? {} : { end: `${idPrefix}g` }),
      limit,
    });
    return Array.from(range, ({ key, value }) => connectionOf(key, value).connection);
  }

  #listConnectionsOf(
    providerId: string,
    start: string,
    { afterId, idPrefix = "", limit }: ConnectionPage,
  ): Connection[] {
    const connections: Connection[] = [];
    const keys = this.databases.connectionsByProvider.getKeys({ start: [providerId, start] });
    for (const [provider, id] of keys) {
      if (provider !== providerId || !id.startsWith(idPrefix) || connections.length >= limit) break;
      if (id === afterId) continue;
      const connection = this.getConnection(id);
      if (connection !== undefined) connections.push(connection);
    }
    return connections;
  }

  countConnections(providerId: string): number {
    return Number(readNumber(this.databases, ["provider", providerId]));
  }

  countConnectionsOfUser(userId: string): number {
    return Number(readNumber(this.databases, ["user", nameInKey(userId)]));
  }

  /** @param principal name of the caller that requested consent */
  countAuthorizations(principal: string): number {
    return Number(readNumber(this.databases, ["pending", nameInKey(principal)]));
  }

  countByStatus(): Record<ConnectionStatus, number> {
    const counts = connectionStatuses.map(
      (status) => [status, readNumber(this.databases, ["status", status])] as const,
    );
    return Object.fromEntries(counts.map(([status, count]) => [status, Number(count)])) as Record<
      ConnectionStatus,
      number
    >;
  }

  /** @throws DataLoss when the record cannot be read */
  getCredential(connectionId: string): SealedCredential | undefined {
    const bytes = this.databases.credentials.getBinary(connectionId);
    return bytes && readable("credential", () => decodeSealedCredential(bytes));
  }

  /** Undefined also when the record cannot be read. @param stateHash hexadecimal SHA-256 of `state` */
  getAuthorization(stateHash: string): PendingAuthorization | undefined {
    const bytes = this.databases.authorizations.getBinary(encodeStateHash(stateHash));
    return bytes && unlessUnreadable(() => decodeAuthorization(bytes));
  }

  /** Keys of the device authorizations that wait for their person: hexadecimal SHA-256 of `state`. */
  deviceAuthorizations(): string[] {
    const all = this.databases.authorizations.getRange({});
    return Array.from(all, ({ key, value }) => ({ key, value })).flatMap(({ key, value }) => {
      const pending = unlessUnreadable(() => decodeAuthorization(value));
      return pending?.deviceIntervalMs === undefined ? [] : [key.toString("hex")];
    });
  }

  getDiscovery(issuer: string): StoredDiscovery | undefined {
    const bytes = this.databases.discovery.getBinary(nameInKey(issuer));
    return bytes && decodeDiscovery(bytes);
  }

  /** Undefined also when the record cannot be read: whether the provider refuses the client shows again. */
  getSuspension(providerId: string): Suspension | undefined {
    const bytes = this.databases.suspensions.getBinary(providerId);
    return bytes && unlessUnreadable(() => decodeSuspension(providerId, bytes));
  }

  /** Those that can be read. */
  listSuspensions(): Suspension[] {
    const providerIds = Array.from(this.databases.suspensions.getKeys({}));
    return providerIds.flatMap((providerId) => this.getSuspension(providerId) ?? []);
  }

  /**
   * Entries behind `after` that are due at `untilMs` or earlier, the earliest first; its cost grows with the
   * answer, not with the store.
   */
  due(untilMs: number, limit: number, after?: DueEntry): DueEntry[] {
    const entries: DueEntry[] = [];
    for (const [dueAtMs, connectionId] of this.#dueKeys(limit, after)) {
      if (dueAtMs > untilMs) break;
      entries.push({ connectionId, dueAtMs });
    }
    return entries;
  }

  /** Time of the first entry in the due queue behind `after`. */
  nextDueMs(after?: DueEntry): number | undefined {
    for (const [dueAtMs] of this.#dueKeys(1, after)) return dueAtMs;
    return undefined;
  }

  #dueKeys(limit: number, after: DueEntry | undefined) {
    if (!after) return this.databases.due.getKeys({ limit });
    const start: [number, string] = [after.dueAtMs, after.connectionId];
    return this.databases.due.getKeys({ start, exclusiveStart: true, limit });
  }

  /** Revision of the newest change. */
  get revision(): bigint {
    return lastRevision(this.databases);
  }

  /** Positions below it cannot be resumed: removals after them are forgotten. 0 when none was. */
  get floorRevision(): bigint {
    return readNumber(this.databases, ["floor"]);
  }

  /** Changes after `revision`, the oldest first, each connection with its newest only. */
  changesSince(revision: bigint, limit: number): Change[] {
    const range = this.databases.changes.getRange({ start: encodeCount(revision + 1n), limit });
    return Array.from(range, ({ key, value }) => decodeChange(decodeCount(key), value));
  }

  /** Removals after `revision` that are remembered, the oldest first. */
  removalsSince(revision: bigint, limit: number): Change[] {
    const keys = this.databases.tombstones.getKeys({ start: encodeCount(revision + 1n), limit });
    return Array.from(keys).flatMap((key) => {
      const bytes = this.databases.changes.getBinary(key);
      return bytes ? [decodeChange(decodeCount(key), bytes)] : [];
    });
  }

  /** Undefined also when the record cannot be read. @param key hash of the imported token */
  getImport(key: string): PendingImport | undefined {
    const bytes = this.databases.imports.getBinary(key);
    return bytes && unlessUnreadable(() => decodeImport(bytes));
  }

  /** Undefined also when the record cannot be read. */
  getApiKey(id: string): ApiKeyRecord | undefined {
    const bytes = this.databases.apiKeys.getBinary(id);
    return bytes && unlessUnreadable(() => decodeApiKey(bytes));
  }

  /** Those that can be read, revoked ones too, in the order of their ids. */
  listApiKeys(): ApiKeyRecord[] {
    return Array.from(this.databases.apiKeys.getKeys({})).flatMap((id) => this.getApiKey(id) ?? []);
  }

  /** Those that can be read. */
  listImports(): { readonly key: string; readonly pending: PendingImport }[] {
    return Array.from(this.databases.imports.getKeys({})).flatMap((key) => {
      const pending = this.getImport(key);
      return pending ? [{ key, pending }] : [];
    });
  }
}

function connectionOf(id: string, bytes: Uint8Array): StoredConnection {
  return unlessUnreadable(() => decodedConnection(id, bytes)) ?? unreadableConnection(id);
}
