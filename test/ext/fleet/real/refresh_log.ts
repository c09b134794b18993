import { decodeWrites } from "../../../../src/ext/fleet/replication/batch_codec.js";
import { lmdbNames } from "../../../../src/store/lmdb/databases.js";
import { decodeConnection } from "../../../../src/store/records/connection_codec.js";
import type { Postgres } from "../../../fakes/postgres.js";

/** A write of one connection, as the log has it. */
interface Entry {
  readonly atMs: number;
  readonly fence: string;
  readonly revision: bigint;
  /** Of the mark of intent for this revision; undefined where there is none. */
  readonly attempt: string | undefined;
}

/** What the log of a fleet says of refreshes: who sent each, and whether its outcome is durable. */
export class RefreshLog {
  readonly #entries = new Map<string, Entry[]>();
  /** When the first batch of each reign was written. */
  readonly #begun = new Map<bigint, number>();

  private constructor() {}

  static async read(primary: Postgres): Promise<RefreshLog> {
    const log = new RefreshLog();
    const rows = await primary.query<{ at: number; fence: string; writes: Buffer }>(
      "SELECT (extract(epoch FROM at) * 1000)::float8 AS at, fence::text AS fence, writes FROM nexus.log ORDER BY position",
    );
    for (const { at, fence, writes } of rows) {
      if (!log.#begun.has(BigInt(fence))) log.#begun.set(BigInt(fence), at);
      for (const { database, value } of decodeWrites(writes)) {
        if (database !== lmdbNames.connections || value === undefined) continue;
        const { id, credentialRevision: revision, refreshIntent } = decodeConnection(value).connection;
        const isOfThis = refreshIntent?.credentialRevision === revision;
        const entry = { atMs: at, fence, revision, attempt: isOfThis ? refreshIntent?.attempt : undefined };
        const before = log.#entries.get(id);
        if (before) before.push(entry);
        else log.#entries.set(id, [entry]);
      }
    }
    return log;
  }

  /**
   * The reign in which a request was sent that the provider got then: that of the intent before it.
   *
   * @returns its fence, and whether the revision that the request was to bring is in the log
   */
  senderOf(connectionId: string, receivedMs: number): { fence: string; isDurable: boolean } | undefined {
    const entries = this.#entries.get(connectionId) ?? [];
    const intent = entries.findLast(({ atMs, attempt }) => attempt !== undefined && atMs <= receivedMs);
    if (intent === undefined) return undefined;
    const isDurable = entries.some(({ revision }) => revision > intent.revision);
    return { fence: intent.fence, isDurable };
  }

  /** The requests that were marked after a moment, for the newest revision. */
  attemptsOf(connectionId: string, fromMs: number): { readonly fence: string; readonly atMs: number }[] {
    const entries = this.#entries.get(connectionId) ?? [];
    const newest = entries.at(-1)?.revision;
    const firsts = new Map<string, Entry>();
    for (const entry of entries)
      if (
        entry.attempt !== undefined &&
        entry.revision === newest &&
        entry.atMs > fromMs &&
        !firsts.has(entry.attempt)
      )
        firsts.set(entry.attempt, entry);
    return [...firsts.values()];
  }

  /** When a later reign wrote first; infinity: there was none. */
  endOf(fence: string): number {
    const later = [...this.#begun].filter(([other]) => other > BigInt(fence)).map(([, atMs]) => atMs);
    return Math.min(...later);
  }

  /** For whoever has to find out why a grant was lost. */
  historyOf(connectionId: string, fromMs: number): string[] {
    return (this.#entries.get(connectionId) ?? [])
      .filter(({ atMs }) => atMs >= fromMs)
      .map(
        ({ atMs, fence, revision, attempt }) =>
          `${new Date(atMs).toISOString()} fence ${fence} revision ${revision} attempt ${attempt ?? "none"}`,
      );
  }
}
