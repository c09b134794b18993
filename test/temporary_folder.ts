import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

const madeOutsideOfTests: string[] = [];
const removeAll = (): void => madeOutsideOfTests.splice(0).forEach(remove);
// This module is loaded before the body of the file that needs it, and hooks run in reverse order: this one is the last. The bench and other programs,
// which load it too, have no hooks.
if (process.env["VITEST"]) afterAll(removeAll);
else process.once("exit", removeAll);

/** A new, empty folder: removed after the test, or after the file when no test runs that could own it (`beforeAll`). */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "nexus-test-"));
  try {
    onTestFinished(() => remove(folder));
  } catch {
    madeOutsideOfTests.push(folder);
  }
  return folder;
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
