import type { Principal } from "../../model/access/principal.js";
import { isId } from "../../model/ids.js";
import type { Log } from "../../runtime/log.js";
import type { Store } from "../../store/store.js";
import { StrategyError } from "../../strategies/apply_strategy.js";
import type { View } from "../access/access_control.js";
import type { CredentialReader, CurrentToken } from "../credentials/credential_reader.js";
import type { ReadAudit } from "../tokens/read_audit.js";
import { parseSecretName, type SecretName, secretValue } from "./injected_secret.js";

/** Who asks for secrets, and what it may see: what it may not see is to it as what does not exist. */
export interface SecretCaller {
  readonly principal: Principal;
  readonly view: Pick<View, "seesConnection" | "seesChange">;
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
      readonly readAudit: ReadAudit;
      readonly log: Log;
      /** What the names of secrets begin with, without the slash after it. */
      readonly prefix: string;
    },
  ) {}

  /** The connection that the secret is of; undefined when it can be of none. */
  connectionOf(name: string): string | undefined {
    const parsed = this.#parse(name);
    return parsed?.connectionId;
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
      const parsed = this.#parse(name);
      const token = parsed && this.#token(parsed, caller);
      const stamp = token ? `${token.revision} ${JSON.stringify(token.strategy)}` : "empty";
      if (stamp === knownStamp) return undefined;
      if (!parsed || !token) return empty(name, stamp);
      const value = await this.#value(parsed, token);
      if (value === undefined) return empty(name, stamp);
      if (token.revision === recordedRevision) {
        // Nothing was awaited since it was read but the making of the value.
        return { name, value, stamp, expiresAtMs: token.expiresAtMs };
      }
      const recorded = this.deps.readAudit.read(caller.principal, parsed.connectionId, token.revision);
      recordedRevision = token.revision;
      if (recorded !== undefined) await recorded;
    }
  }

  #parse(name: string): SecretName | undefined {
    const parsed = parseSecretName(this.deps.prefix, name);
    return parsed && isId(parsed.connectionId) ? parsed : undefined;
  }

  #token({ connectionId }: SecretName, { view }: SecretCaller): CurrentToken | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    return connection && view.seesConnection(connection)
      ? this.deps.reader.viewOf(connection).token
      : undefined;
  }

  async #value({ connectionId, kind }: SecretName, token: CurrentToken): Promise<string | undefined> {
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
