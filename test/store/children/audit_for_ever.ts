/** Changes a connection for ever, each time with its audit event, and prints each number when its commit is acknowledged. */
import { writeSync } from "node:fs";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";
import { Store } from "../../../src/store/store.js";
import { aConnection } from "../../samples.js";

const [folder = "", first = "1"] = process.argv.slice(2);
lockDataFolder(folder);
const store = Store.open({ folder, nowMs: 1 });
for (let number = Number(first); ; number++) {
  await store.commit((tx) => {
    tx.putConnection(aConnection({ id: "c1", failedRefreshes: number }));
    tx.appendAudit({
      timeMs: number,
      type: "token_refresh_failed",
      principal: "daemon",
      connectionId: "c1",
      reason: `change ${number}`,
    });
  });
  writeSync(1, `${number}\n`);
}
