/** Commits for ever and prints each number when its commit is acknowledged. */
import { writeSync } from "node:fs";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";
import { Store } from "../../../src/store/store.js";
import { aConnection, sealed } from "../../samples.js";

const [folder = "", first = "1"] = process.argv.slice(2);
lockDataFolder(folder);
const store = Store.open({ folder, nowMs: 1 });
for (let number = Number(first); ; number++) {
  await store.commit((tx) => {
    const id = `c${number % 50}`;
    tx.putConnection(aConnection({ id, dueAtMs: number, failedRefreshes: number }));
    tx.putCredential(id, {
      revision: BigInt(number),
      sealed: { ...sealed("x"), ciphertext: Buffer.alloc((number * 7919) % 30_000, 1) },
    });
    if (number % 3 === 0) tx.deleteConnection(`c${(number + 7) % 50}`);
  });
  writeSync(1, `${number}\n`);
}
