import { expect, it, onTestFinished } from "vitest";
import { countEntry, countOf } from "../../../src/store/indexes/numbers.js";
import { nothing, openDatabases, openRawTables } from "../../../src/store/lmdb/databases.js";
import { ExtensionTable } from "../../../src/store/lmdb/table.js";
import { Store } from "../../../src/store/store.js";
import { nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

const things = new ExtensionTable<[owner: string, number: number]>("things");
const digests = new ExtensionTable<Buffer>("digests", { isKeyedByBytes: true });

function opened(folder: string, ...tables: ExtensionTable[]): Store {
  const store = Store.open({ folder, nowMs, tables });
  onTestFinished(() => store.close());
  return store;
}

it("keeps what an extension writes, also while another program has no such extension", async () => {
  const folder = temporaryFolder();
  const first = opened(folder, things, digests);
  await first.commit((tx) =>
    tx.raw((databases) => {
      things.of(databases).putSync(["ada", 7], Buffer.from("seven"));
      digests.of(databases).putSync(Buffer.from([0, 1, 255]), nothing);
      countEntry(databases, things, "ada", 1n);
    }),
  );
  await first.close();

  const without = opened(folder);
  expect(() => without.raw((databases) => things.of(databases))).toThrow(
    "the store was opened without the table things",
  );
  await without.close();

  const again = opened(folder, things, digests);
  again.raw((databases) => {
    expect(Array.from(things.of(databases).getRange({}), ({ key, value }) => [key, `${value}`])).toEqual([
      [["ada", 7], "seven"],
    ]);
    expect(Array.from(digests.of(databases).getKeys({}), (key) => [...key])).toEqual([[0, 1, 255]]);
    expect([countOf(databases, things), countOf(databases, things, "ada")]).toEqual([1n, 1n]);
    // What a fleet copies.
    const raw = openRawTables(databases);
    expect(["things", "digests"].map((name) => Array.from(raw.get(name)?.getKeys({}) ?? []).length)).toEqual([
      1, 1,
    ]);
  });
});

it("refuses two tables of one name, of the core or of extensions", () => {
  const path = `${temporaryFolder()}/store.mdb`;
  const open = (...names: string[]) =>
    openDatabases(
      path,
      names.map((name) => new ExtensionTable(name)),
    );
  expect(() => open("connections")).toThrow("two tables of the store are called connections");
  expect(() => open("mine", "mine")).toThrow("two tables of the store are called mine");
});
