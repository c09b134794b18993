import type { ClientKey } from "../../model/clients/client_key.js";
import type { Databases } from "../lmdb/databases.js";
import { decodeClientKey, encodeClientKey } from "../records/sealed_codec.js";
import { unlessUnreadable } from "../records/unreadable.js";
import { countSealed } from "./sealed_count.js";

/** The keys by which the daemon proves itself as a client. */
export class ClientKeyReads {
  constructor(protected readonly databases: Databases) {}

  /** Undefined also when the record cannot be read. */
  get(kid: string): ClientKey | undefined {
    const bytes = this.databases.clientKeys.getBinary(kid);
    return bytes && unlessUnreadable(() => decodeClientKey(bytes));
  }

  /** Those that can be read, the oldest first. */
  list(): ClientKey[] {
    const keys = Array.from(this.databases.clientKeys.getKeys({}), (kid) => this.get(kid));
    return keys
      .filter((key) => key !== undefined)
      .sort(
        (a, b) => a.createdAtMs - b.createdAtMs || a.signsFromMs - b.signsFromMs || (a.kid < b.kid ? -1 : 1),
      );
  }
}

/** The same inside a transaction. */
export class ClientKeyRecords extends ClientKeyReads {
  put(key: ClientKey): void {
    countSealed(this.databases, () => this.get(key.kid)?.sealed, key.sealed);
    this.databases.clientKeys.putSync(key.kid, encodeClientKey(key));
  }

  remove(kid: string): void {
    countSealed(this.databases, () => this.get(kid)?.sealed, undefined);
    this.databases.clientKeys.removeSync(kid);
  }
}
