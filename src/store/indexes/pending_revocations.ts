import type { DueRevocation, PendingRevocation } from "../../model/connections/revocation.js";
import { type Databases, nothing } from "../lmdb/databases.js";
import type { Table } from "../lmdb/table.js";
import { decodeRevocation, encodeRevocation } from "../records/journal_codec.js";
import { unlessUnreadable } from "../records/unreadable.js";
import { firstOfEach } from "./due_keys.js";
import { countSealed } from "./sealed_count.js";

type FirstKey = [nextAttemptMs: number, id: string];

/** The tokens that are to be revoked at their providers. */
export class PendingRevocationReads {
  constructor(protected readonly databases: Databases) {}

  /** Undefined also when the record cannot be read. */
  get(id: string): PendingRevocation | undefined {
    const bytes = this.databases.revocations.getBinary(id);
    return bytes && unlessUnreadable(() => decodeRevocation(bytes));
  }

  /** The first of each provider, due or not. @param limit of each provider, so that none hides another's */
  due(limit: number): DueRevocation[] {
    const keys = firstOfEach(this.databases.revocationsDue, limit);
    return [
      ...this.#dueInFirstForm(limit),
      ...keys.map(([providerId, nextAttemptMs, id]) => ({ providerId, nextAttemptMs, id })),
    ];
  }

  /** Versions before 1.0 wrote `[nextAttemptMs, id]`, which sorts before every key that begins with a provider. */
  #dueInFirstForm(limit: number): DueRevocation[] {
    const table = this.databases.revocationsDue as unknown as Table<FirstKey | [string]>;
    const keys = table.getKeys({ start: [0, ""], end: [""], limit }) as Iterable<FirstKey>;
    return Array.from(keys).flatMap(([nextAttemptMs, id]) => {
      const providerId = this.get(id)?.providerId;
      return providerId === undefined ? [] : [{ providerId, nextAttemptMs, id }];
    });
  }
}

/** The same inside a transaction. */
export class PendingRevocations extends PendingRevocationReads {
  /** Moves its one entry among those that are due to `nextAttemptMs`. */
  put(revocation: PendingRevocation): void {
    const { id, providerId, nextAttemptMs, sealed } = revocation;
    this.delete(id);
    countSealed(this.databases, () => undefined, sealed);
    this.databases.revocations.putSync(id, encodeRevocation(revocation));
    this.databases.revocationsDue.putSync([providerId, nextAttemptMs, id], nothing);
  }

  delete(id: string): void {
    const before = this.get(id);
    if (before === undefined) return;
    countSealed(this.databases, () => before.sealed, undefined);
    this.databases.revocations.removeSync(id);
    this.databases.revocationsDue.removeSync([before.providerId, before.nextAttemptMs, id]);
    const inFirstForm = this.databases.revocationsDue as unknown as Table<FirstKey>;
    const key: FirstKey = [before.nextAttemptMs, id];
    if (inFirstForm.doesExist(key)) inFirstForm.removeSync(key);
  }
}
