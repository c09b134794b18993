import type { ConnectionNames, Sight } from "../../domain/access/access.js";
import type { CredentialReader, CurrentToken } from "../../domain/connections/connections.js";
import type { ReadAudit } from "../../domain/reading/reading.js";
import type { Principal } from "../../model/access/access.js";
import type { NameParts } from "../../model/connections/connections.js";
import type { Log } from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import { StrategyError } from "../../strategies/strategies.js";
import { parseSecretName, type SecretKind, type SecretName, secretValue } from "./injected_secret.js";

/** Who asks for secrets, and what it may see: what it may not see is to it as what does not exist. */
export interface SecretCaller {
  readonly principal: Principal;
  readonly view: Sight;
}

/** A secret as it is now. Empty where there is nothing to inject: proxies keep the last secret when one is taken away. */
export interface SecretState {
  readonly name: string;
  readonly value: string;
  /** Another one when the value is; says nothing of it. */
  readonly stamp: string;
  readonly expiresAtMs: number | undefined;
}

/** Connections as secrets of a proxy: each that leaves is on record as a read of the token. */
export class SecretSource {
  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly reader: CredentialReader;
      readonly names: ConnectionNames;
      readonly readAudit: ReadAudit;
      readonly log: Log;
      /** What the names of secrets begin with, without the slash after it. */
      readonly prefix: string;
    },
  ) {}

  /** Which changes may make another secret of it: those of one connection, of a name, or none. */
  watched(name: string): { readonly connectionId?: string; readonly name?: NameParts } {
    const key = parseSecretName(this.deps.prefix, name)?.key;
    if (!key) return {};
    if ("id" in key) return { connectionId: key.id };
    const parts = this.deps.names.partsOf(key.name);
    return parts ? { name: parts } : {};
  }

  /**
   * The secret as it is now.
   *
   * @param knownStamp of what the caller has; then nothing is read, and the answer is undefined
   * @throws Unavailable when the read cannot be recorded: then the secret must not leave
   */
  async read(name: string, caller: SecretCaller, knownStamp?: string): Promise<SecretState | undefined> {
    let recordedRevision: bigint | undefined;
    for (;;) {
      const parsed = parseSecretName(this.deps.prefix, name);
      const found = parsed && this.#token(parsed, caller);
      const stamp = found
        ? `${found.connectionId} ${found.token.revision} ${JSON.stringify(found.token.strategy)}`
        : "empty";
      if (stamp === knownStamp) return undefined;
      if (!found) return empty(name, stamp);
      const { connectionId, token } = found;
      const value = await this.#value(connectionId, parsed.kind, token);
      if (value === undefined) return empty(name, stamp);
      if (token.revision === recordedRevision) {
        // Nothing was awaited since it was read but the making of the value.
        return { name, value, stamp, expiresAtMs: token.expiresAtMs };
      }
      const recorded = this.deps.readAudit.read(caller.principal, connectionId, token.revision);
      recordedRevision = token.revision;
      if (recorded !== undefined) await recorded;
    }
  }

  #token(
    { key }: SecretName,
    { principal, view }: SecretCaller,
  ): { readonly connectionId: string; readonly token: CurrentToken } | undefined {
    const connectionId = "id" in key ? key.id : this.deps.names.findFor(key.name, principal);
    const connection = connectionId === undefined ? undefined : this.deps.store.getConnection(connectionId);
    if (!connection || !view.seesConnection(connection)) return undefined;
    const { token } = this.deps.reader.viewOf(connection);
    return token && { connectionId: connection.id, token };
  }

  async #value(connectionId: string, kind: SecretKind, token: CurrentToken): Promise<string | undefined> {
    try {
      return await secretValue(token, kind);
    } catch (error) {
      if (!(error instanceof StrategyError)) throw error;
      this.deps.log.warn(
        { connectionId, kind, strategy: token.strategy.kind, reason: error.message },
        "a proxy asks for a secret that cannot be made: it gets an empty one",
      );
      return undefined;
    }
  }
}

function empty(name: string, stamp: string): SecretState {
  return { name, value: "", stamp, expiresAtMs: undefined };
}
