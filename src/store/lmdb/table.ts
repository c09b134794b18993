import type { Database, Key } from "lmdb";

/** For tables of extensions: only this layer imports lmdb. */
export type { Key };

type TableBytes = Uint8Array;

/** What commits need of an LMDB database. */
export type Table<K extends Key> = Pick<
  Database<TableBytes, K>,
  "getBinary" | "doesExist" | "getRange" | "getKeys"
> & {
  putSync(key: K, value: TableBytes): void;
  removeSync(key: K): boolean;
};

interface ExtensionTableOptions {
  /** Its keys are bytes; otherwise lmdb's encoding orders them. */
  readonly isKeyedByBytes?: true;
  /** What it holds belongs to the daemon that wrote it: a store that comes from a backup begins without. */
  readonly isEmptyAfterRestore?: true;
}

/** A table that an extension keeps in the store. It names it in its `extension.ts`; every opener of a store opens it. */
export class ExtensionTable<K extends Key = Key> {
  /** @param name what LMDB calls it, which no other table may be called */
  constructor(
    readonly name: string,
    readonly options: ExtensionTableOptions = {},
  ) {}

  /** @throws Error when the store was opened without it */
  of({ extensions }: { readonly extensions: ExtensionTables }): Table<K> {
    const table = extensions.get(this);
    if (table === undefined) throw new Error(`the store was opened without the table ${this.name}`);
    return table as Table<K>;
  }
}

/** Each table of an extension as it is opened. */
export type ExtensionTables = ReadonlyMap<ExtensionTable, Table<Key>>;
