/**
 * Opens one damaged store after the other, reads and writes all of it, and prints what it found. That the process lives to say so is what
 * the test wants.
 */
import { writeSync } from "node:fs";
import { Store } from "../../../src/store/store.js";
import { readAll, writeAll } from "../lmdb/whole_store.js";

for (const folder of process.argv.slice(2)) {
  writeSync(1, `${JSON.stringify({ folder, ...(await found(folder)) })}\n`);
}

async function found(folder: string): Promise<object> {
  let store: Store;
  try {
    store = Store.open({ folder, nowMs: 1, onFatal: () => undefined });
  } catch (error) {
    return { refused: String(error) };
  }
  const { wrong, unreadable } = readAll(store);
  const written = await writeAll(store).then(
    () => "written",
    (error: unknown) => String(error),
  );
  await store.close();
  return { wrong, unreadable, written };
}
