import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeWrites, encodeWrites } from "../../../../src/ext/fleet/replication/batch_codec.js";
import { Recorder } from "../../../../src/ext/fleet/replication/recorder.js";
import { openDatabases, openRawTables } from "../../../../src/store/lmdb/databases.js";
import type { Table } from "../../../../src/store/lmdb/table.js";
import fc from "../../../property.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom("", "\u0000", "\u001b", "é", "store", "a\u0000b"),
);
const time = fc.oneof(fc.integer(), fc.double({ noNaN: true }), fc.constantFrom(0, -0, -1, 1.5, 2 ** 53));

/** One key of each shape that the databases have. */
const anyKey = fc.oneof(
  text.map((key) => ["providers", key] as const),
  fc.tuple(text, text).map((key) => ["connectionsByProvider", key] as const),
  fc.tuple(text, time, time, text).map((key) => ["connectionsByName", key] as const),
  fc.tuple(time, text).map((key) => ["due", key] as const),
  fc.uint8Array({ minLength: 1, maxLength: 64 }).map((key) => ["authorizations", Buffer.from(key)] as const),
);

test("the bytes that are noted of a key are those that LMDB writes", async () => {
  const databases = openDatabases(join(temporaryFolder(), "keys.mdb"));
  const raw = openRawTables(databases);
  const recorder = new Recorder(databases);
  const value = Buffer.from("x");
  fc.assert(
    fc.property(anyKey, ([name, key]) => {
      databases.root.transactionSync(() => {
        for (const table of raw.values()) {
          for (const bytes of [...table.getKeys({})]) table.removeSync(Buffer.from(bytes));
        }
        (recorder.databases[name] as Table<typeof key>).putSync(key, value);
      });
      recorder.keep();
      const [write] = recorder.take();
      const table = raw.get(write?.database ?? "") as Table<Buffer>;
      const onDisk = Array.from(table.getKeys({}), (bytes) => Buffer.from(bytes).toString("hex"));
      expect(onDisk).toEqual([Buffer.from(write?.key ?? "").toString("hex")]);
      databases.root.transactionSync(() => {
        table.removeSync(Buffer.from(write?.key ?? ""));
      });
      expect((databases[name] as Table<typeof key>).getBinary(key)).toBeUndefined();
    }),
    { numRuns: 150 },
  );
  await databases.root.close();
});

test("a batch comes back as it was: removals, empty values and any bytes", () => {
  const anyWrite = fc.record({
    database: fc.constantFrom("meta", "due", "numbers"),
    key: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    value: fc.option(fc.uint8Array({ maxLength: 60 }), { nil: undefined }),
  });
  const order = (writes: readonly { database: string }[]): string[] =>
    writes.map((write) => JSON.stringify(write)).sort();
  fc.assert(
    fc.property(fc.array(anyWrite, { maxLength: 20 }), (writes) => {
      expect(order(decodeWrites(encodeWrites(writes)))).toEqual(order(writes));
    }),
  );
});
