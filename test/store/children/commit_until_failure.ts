/**
 * Run with a limit on the size of files: commits until one fails, then says what was acknowledged and what
 * the store does next.
 */
import { Store } from "../../../src/store/store.js";
import { sealed } from "../../samples.js";

const [folder = ""] = process.argv.slice(2);
const fatal: string[] = [];
const store = Store.open({ folder, nowMs: 1, onFatal: (error) => fatal.push(String(error)) });
const errors: string[] = [];
const unhandled: string[] = [];
process.on("unhandledRejection", (error) => unhandled.push(String(error)));
let acknowledged = 0;
const write = async (revision: number): Promise<void> => {
  try {
    await store.commit((tx) =>
      tx.putCredential(`c${revision}`, {
        revision: BigInt(revision),
        sealed: { ...sealed("x"), ciphertext: Buffer.alloc(20_000) },
      }),
    );
    acknowledged = Math.max(acknowledged, revision);
  } catch (error) {
    errors.push(error instanceof Error ? `${error.name} ${String(error.cause)}` : String(error));
  }
};
for (let revision = 1; errors.length === 0 && revision < 1000; revision++) {
  await Promise.all([write(revision), write(++revision)]);
}
await write(5000);
const readable = store.getCredential(`c${acknowledged}`)?.revision === BigInt(acknowledged);
await new Promise((resolve) => setImmediate(resolve));
await store.close();
await new Promise((resolve) => setImmediate(resolve));
console.log(JSON.stringify({ acknowledged, errors, fatal, readable, unhandled }));
