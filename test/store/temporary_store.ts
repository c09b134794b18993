import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { Store } from "../../src/store/store.js";
import { nowMs } from "./samples.js";

/** Removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nexusd-store-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Closed when the test ends. */
export function openStore(folder = temporaryFolder()): Store {
  const store = Store.open({ folder, nowMs });
  onTestFinished(() => store.close());
  return store;
}
