import { type Databases, databasesOf, type Key, keyValueToBuffer, type Table } from "../../../store/store.js";
import type { RawWrite } from "./log.js";

type Writes = Map<string, RawWrite>;

/**
 * Notes what goes into the databases, as bytes. What a callback wrote counts when it is kept; so a callback that was rolled back leaves
 * nothing.
 */
export class Recorder {
  /** The same databases: what is written here is noted. */
  readonly databases: Databases;
  #kept: Writes = new Map();
  #noted: Writes = new Map();

  constructor(databases: Databases) {
    const { root, extensions } = databases;
    this.databases = databasesOf(root, extensions.keys(), (lmdbName, isKeyedByBytes, of) =>
      this.#recorded(of(databases), lmdbName, isKeyedByBytes ? copyOf : keyValueToBuffer),
    );
  }

  /** What was noted since the last `keep` or `drop` counts. */
  keep(): void {
    for (const [place, write] of this.#noted) this.#kept.set(place, write);
    this.#noted.clear();
  }

  /** What was noted since the last `keep` or `drop` was rolled back. */
  drop(): void {
    this.#noted.clear();
  }

  /** Of each key the last write that counts; starts again. */
  take(): readonly RawWrite[] {
    const writes = [...this.#kept.values()];
    this.#kept = new Map();
    this.#noted = new Map();
    return writes;
  }

  #recorded(table: Table<Key>, database: string, encode: (key: Key) => Buffer): Table<Key> {
    const note = (key: Key, value: Uint8Array | undefined): void => {
      const bytes = encode(key);
      this.#noted.set(`${database} ${bytes.toString("latin1")}`, { database, key: bytes, value });
    };
    return {
      getBinary: table.getBinary.bind(table),
      doesExist: table.doesExist.bind(table),
      getRange: table.getRange.bind(table),
      getKeys: table.getKeys.bind(table),
      putSync(key, value) {
        table.putSync(key, value);
        note(key, value);
      },
      removeSync(key) {
        note(key, undefined);
        return table.removeSync(key);
      },
    };
  }
}

/** A key that was read from a cursor may lie in memory that is used again. */
function copyOf(key: Key): Buffer {
  return Buffer.from(key as Buffer);
}
