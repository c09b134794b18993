import type { CredentialVault } from "../../../domain/connections/connections.js";
import type { Token, TokenState } from "../../../gen/nexus/v1/token_pb.js";
import type { Connection } from "../../../model/connections/connections.js";
import type { SealedCredential } from "../../../model/credentials/credentials.js";
import { DataLoss } from "../../../model/model.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { type Clock, Secret } from "../../../runtime/runtime.js";
import type { Store, Transaction } from "../../../store/store.js";
import { copiedConnection, isSameRecord, withToken } from "./copied_connection.js";

/** Records looked at between two turns of others. */
const page = 256;

export interface CopiesDeps {
  readonly store: Store;
  readonly vault: CredentialVault;
  readonly clock: Clock;
}

/**
 * What a spoke knows of its hub: connections with their living credentials, sealed with a key of its own, and profiles without
 * secrets. Watchers of the spoke learn of each change as of one of its own.
 */
export class Copies {
  /** Ids that the snapshot under way has named; undefined outside of one. */
  #named: Set<string> | undefined;

  constructor(private readonly deps: CopiesDeps) {}

  /** The hub sends everything from now on. */
  beginSnapshot(): void {
    this.#named = new Set();
  }

  /** A snapshot that was cut off says nothing of what it did not name. */
  abandonSnapshot(): void {
    this.#named = undefined;
  }

  /** What the snapshot did not name is gone. Resolves when that is durable; nothing outside of a snapshot. */
  async endSnapshot(): Promise<void> {
    const named = this.#named;
    if (named === undefined) return;
    const gone: string[] = [];
    for await (const { id } of this.#connections()) if (!named.has(id)) gone.push(id);
    await Promise.all(gone.map((id) => this.#delete(id)));
    this.#named = undefined;
  }

  /** Takes the state of a connection. Resolves when it is durable and watchers were notified; one that says nothing new changes nothing. */
  async put(state: TokenState): Promise<void> {
    this.#named?.add(state.connectionId);
    const { store, clock } = this.deps;
    await store.commit((tx) => {
      const before = tx.getConnection(state.connectionId);
      // A hub that is behind. Revisions start again in another history alone, which a hub sends from its beginning.
      if (before && before.credentialRevision > state.revision && this.#named === undefined) return;
      this.#put(tx, before, copiedConnection(state, before, clock.nowMs()), state.token);
    });
  }

  /** Takes a token that a hub gave a caller: the stream sends it later, and that of another hub older ones before. */
  async hold(connectionId: string, token: Token): Promise<void> {
    const { store, clock } = this.deps;
    await store.commit((tx) => {
      const before = tx.getConnection(connectionId);
      if (!before || before.credentialRevision >= token.revision) return;
      this.#put(tx, before, withToken(before, token, clock.nowMs()), token);
    });
  }

  async remove(connectionId: string): Promise<void> {
    this.#named?.delete(connectionId);
    await this.#delete(connectionId);
  }

  /** Takes all profiles that the hub shows. @returns ids of those that are new, changed or gone */
  async putProviders(profiles: readonly ProviderProfile[]): Promise<string[]> {
    const { store } = this.deps;
    const shown = new Set(profiles.map(({ id }) => id));
    const stored = store.listProviders({ limit: Number.POSITIVE_INFINITY });
    const gone = stored.filter(({ id }) => !shown.has(id)).map(({ id }) => id);
    const changed = profiles.filter((profile) => {
      const known = store.getProvider(profile.id);
      return known === undefined || known.version !== profile.version || known.name !== profile.name;
    });
    if (gone.length + changed.length === 0) return [];
    await store.commit((tx) => {
      // Names may have been exchanged: first nobody holds them.
      for (const id of [...gone, ...changed.map((profile) => profile.id)]) tx.deleteProvider(id);
      for (const profile of changed) tx.putProvider(profile);
    });
    return [...gone, ...changed.map(({ id }) => id)];
  }

  /**
   * Credentials without an end of their own are not served any more.
   *
   * @param isSilent asked again for each: a hub may have connected meanwhile
   * @returns of how many connections
   */
  async endStatic(isSilent: () => boolean): Promise<number> {
    const ending: Promise<void>[] = [];
    for await (const connection of this.#connections()) {
      if (connection.status !== "active" || connection.expiresAtMs !== undefined) continue;
      ending.push(this.#end(connection.id, isSilent));
    }
    await Promise.all(ending);
    return ending.length;
  }

  #put(
    tx: Transaction,
    before: Connection | undefined,
    connection: Connection,
    token: Token | undefined,
  ): void {
    const { id, credentialRevision } = connection;
    const held = tx.getCredential(id);
    const holdsIt = token ? held?.revision === credentialRevision : held === undefined;
    if (before && holdsIt && isSameRecord(before, connection) && this.#isSame(connection, held, token))
      return;
    if (token) tx.putCredential(id, this.#seal(connection, token));
    else tx.deleteCredential(id);
    tx.putConnection(connection);
  }

  #seal(connection: Connection, { credentials, tokenType }: Token): SealedCredential {
    const { vault } = this.deps;
    const { strategy, credentialRevision } = connection;
    if (strategy.kind === "oauth2") {
      const accessToken = new Secret(credentials[strategy.credentialField] ?? "");
      const credential = { accessToken, refreshToken: undefined, tokenType, idToken: undefined };
      return vault.sealCredential(connection, credentialRevision, credential);
    }
    const fields = Object.entries(credentials).map(([name, value]) => [name, new Secret(value)] as const);
    return vault.sealFields(connection, credentialRevision, Object.fromEntries(fields));
  }

  /** A hub that was restored may give out a revision once more, for another credential. */
  #isSame(connection: Connection, held: SealedCredential | undefined, token: Token | undefined): boolean {
    if (held === undefined || token === undefined) return held === token;
    const { vault } = this.deps;
    const { strategy } = connection;
    const { credentials } = token;
    try {
      if (strategy.kind === "oauth2") {
        const { accessToken, tokenType } = vault.openCredential(connection, held);
        const isSameToken = accessToken.reveal() === (credentials[strategy.credentialField] ?? "");
        return isSameToken && tokenType === token.tokenType;
      }
      const fields = Object.entries(vault.openFields(connection, held));
      const isSameSize = fields.length === Object.keys(credentials).length;
      return isSameSize && fields.every(([name, value]) => credentials[name] === value.reveal());
    } catch (error) {
      if (error instanceof DataLoss) return false;
      throw error;
    }
  }

  async #delete(connectionId: string): Promise<void> {
    await this.deps.store.commit((tx) => tx.deleteConnection(connectionId));
  }

  async #end(connectionId: string, isSilent: () => boolean): Promise<void> {
    await this.deps.store.commit((tx) => {
      if (!isSilent()) return;
      const connection = tx.getConnection(connectionId);
      if (!connection || connection.expiresAtMs !== undefined) return;
      tx.deleteCredential(connectionId);
      tx.putConnection({ ...connection, expiresAtMs: this.deps.clock.nowMs() });
    });
  }

  async *#connections(): AsyncGenerator<Connection> {
    let afterId: string | undefined;
    for (;;) {
      const found = this.deps.store.listConnections({ limit: page, afterId });
      yield* found;
      if (found.length < page) return;
      afterId = found.at(-1)?.id;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
