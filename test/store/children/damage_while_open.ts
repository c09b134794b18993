/** The disk loses every page of a store that is open. Prints what reads make of it. */
import { openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Store, storeFileName } from "../../../src/store/store.js";
import { fill, readAll } from "../lmdb/whole_store.js";

const [folder = ""] = process.argv.slice(2);
const store = Store.open({ folder, nowMs: 1 });
await fill(store);
const path = join(folder, storeFileName);
const pageBytes = 4096;
const zeros = Buffer.alloc(pageBytes);
const descriptor = openSync(path, "r+");
for (let at = 2 * pageBytes; at < statSync(path).size; at += pageBytes)
  writeSync(descriptor, zeros, 0, pageBytes, at);
const read = (() => {
  try {
    return store.getProvider("00000000-0000-4000-8000-000000000001")?.name;
  } catch (error) {
    return String(error);
  }
})();
const { wrong } = readAll(store);
writeSync(1, `${JSON.stringify({ read, wrong })}\n`);
process.exit(0);
