import { createHash } from "node:crypto";
import { decodeWrites } from "../../../../src/ext/fleet/replication/batch_codec.js";
import type { RawWrite } from "../../../../src/ext/fleet/replication/log.js";
import { rawEntries } from "../../../../src/ext/fleet/replication/raw_entries.js";
import { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { lmdbNames } from "../../../../src/store/lmdb/databases.js";
import type { Postgres } from "../../../fakes/postgres.js";
import { isMarked } from "./next_version.js";

interface Row {
  readonly position: number;
  readonly version: string;
  readonly writes: Buffer;
}

/** What is in the log of a fleet whose tables are of the next layout. */
export class Written {
  private constructor(
    private readonly primary: Postgres,
    private readonly rows: readonly Row[],
  ) {}

  static async read(primary: Postgres): Promise<Written> {
    const rows = await primary.query<Row>(
      "SELECT position::float8 AS position, version, writes FROM nexus.log ORDER BY position",
    );
    return new Written(primary, rows);
  }

  /** How often the version of who writes changed, each way; a first batch is nobody's. */
  turns(): { toNext: number; toThis: number } {
    const versions = this.rows.slice(1).map(({ version }) => version);
    const turned = versions.filter((version, index) => index > 0 && version !== versions[index - 1]);
    const toNext = turned.filter((version) => version === "next").length;
    return { toNext, toThis: turned.length - toNext };
  }

  /** How many batches each version wrote. */
  batches(): { next: number; this: number } {
    const next = this.rows.filter(({ version }) => version === "next").length;
    return { next, this: this.rows.length - next };
  }

  /** Positions of the batches in which a connection has the field of the next version. */
  marked(): number[] {
    return this.rows
      .filter(({ writes }) =>
        decodeWrites(writes).some(
          ({ database, value }) => database === lmdbNames.connections && value && isMarked(value),
        ),
      )
      .map(({ position }) => position);
  }

  /** The bytes of every entry: of the image, and of the log beyond it. */
  async fresh(): Promise<string> {
    const [image] = await this.primary.query<{ position: number }>(
      "SELECT position::float8 AS position FROM nexus.image",
    );
    const entries = await this.primary.query<{ database: string; key: Buffer; value: Buffer }>(
      "SELECT database, key, value FROM nexus.entry",
    );
    return this.#digest(entries, image?.position ?? -1);
  }

  /** The same of a hub's folder, of which nobody has the store open. */
  async copy(folder: string): Promise<string> {
    const store = ReplicaStore.open({ folder, nowMs: Date.now() });
    try {
      return this.#digest([...store.raw(rawEntries)].flat(), Number(store.position?.position ?? -1n));
    } finally {
      await store.close();
    }
  }

  #digest(entries: readonly RawWrite[], position: number): string {
    const all = new Map<string, string>();
    const since = this.rows.filter((row) => row.position > position && row.writes.length > 0);
    for (const { database, key, value } of [
      ...entries,
      ...since.flatMap(({ writes }) => decodeWrites(writes)),
    ]) {
      const place = `${database} ${Buffer.from(key).toString("hex")}`;
      if (value === undefined) all.delete(place);
      else all.set(place, Buffer.from(value).toString("hex"));
    }
    const hash = createHash("sha256");
    for (const [place, value] of [...all].sort(([one], [other]) => (one < other ? -1 : 1)))
      hash.update(`${place} ${value}\n`);
    return hash.digest("hex");
  }
}
