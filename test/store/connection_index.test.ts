import { join } from "node:path";
import { expect, test } from "vitest";
import { openDatabases } from "../../src/store/databases.js";
import { Store, storeFileName } from "../../src/store/store.js";
import { temporaryFolder } from "../temporary_folder.js";
import { connection, nowMs } from "./samples.js";

test("connections of a store that was made before they were counted by user id are counted once", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  const users = ["ada", "ada", "bob"];
  await first.commit((tx) => {
    for (const [index, userId] of users.entries()) {
      tx.putConnection(connection(`c${index}`, { userId }));
    }
  });
  await first.close();

  const databases = openDatabases(join(folder, storeFileName));
  databases.root.transactionSync(() => {
    for (const name of ["ada", "bob"]) databases.numbers.removeSync(["user", name]);
    databases.meta.removeSync("counted_users");
  });
  await databases.root.close();

  for (let opening = 0; opening < 2; opening++) {
    const store = Store.open({ folder, nowMs });
    const counts = await store.commit((tx) =>
      ["ada", "bob", "cy"].map((name) => tx.countConnectionsOfUser(name)),
    );
    expect(counts).toEqual([2, 1, 0]);
    await store.close();
  }
});
