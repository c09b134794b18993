import { expect, test } from "vitest";
import { Store } from "../../../src/store/store.js";
import { aConnection, nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

test("connections are counted by user id, and still after the store was opened again", async () => {
  const folder = temporaryFolder();
  const first = Store.open({ folder, nowMs });
  await first.commit((tx) => {
    for (const [index, userId] of ["ada", "ada", "bob", "cy"].entries()) {
      tx.putConnection(aConnection({ id: `c${index}`, userId }));
    }
    tx.deleteConnection("c3");
  });
  await first.close();

  const store = Store.open({ folder, nowMs });
  const counts = await store.commit((tx) =>
    ["ada", "bob", "cy"].map((name) => tx.countConnectionsOfUser(name)),
  );
  expect(counts).toEqual([2, 1, 0]);
  await store.close();
});
