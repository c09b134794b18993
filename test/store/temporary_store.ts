import { onTestFinished } from "vitest";
import { Store } from "../../src/store/store.js";
import { nowMs } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";

/** Closed when the test ends. */
export function openStore(folder = temporaryFolder()): Store {
  const store = Store.open({ folder, nowMs });
  onTestFinished(() => store.close());
  return store;
}
