/** Ends as a hub does, in the middle of what a replica writes beside commits: `apply`, `record` or `drop`. */

import { writeSync } from "node:fs";
import { ReplicaStore } from "../../../src/ext/fleet/replication/replica_store.js";
import { newId } from "../../../src/model/ids.js";

const [folder = "", what = ""] = process.argv.slice(2);
const store = ReplicaStore.open({ folder, nowMs: 1 });
const record = () =>
  store.record((tx) => tx.appendAudit({ timeMs: 1, type: "token_retrieved", principal: "p" }));
const begin: Record<string, () => Promise<unknown> | undefined> = {
  record,
  drop: () => store.outbox?.drop(1n),
  apply: () => store.apply([{ id: newId(), after: 0n, position: 1n, writes: [] }]),
};
await record();
writeSync(1, `${what}\n`);
let isDone = false;
void begin[what]?.()?.then(() => {
  isDone = true;
});
// The writer has the transaction by the time that the next turn begins.
await new Promise((resolve) => setImmediate(resolve));
await store.settled();
writeSync(1, `${isDone}\n`);
process.exit(75);
