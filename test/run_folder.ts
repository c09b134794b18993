import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The folder of this run of vitest, which `test/run.ts` makes, reads and removes; none for what runs by itself, as `npm run bench`. */
const folder = process.env["TEST_RUN_FOLDER"];

/** What a daemon logged: searched for secrets after the run. */
export function leaveLog(text: string): void {
  leave("log", text);
}

/**
 * A data folder, which is searched for secrets after the run, if it is still there.
 * @param given by a test that removes it; a new one when left out, which stays until then
 */
export function sweptFolder(given?: string): string {
  const dataDir = given ?? mkdtempSync(join(tmpdir(), "nexus-daemon-"));
  if (given === undefined && folder === undefined) {
    process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
  }
  leave("folders", `${dataDir}\n`);
  return dataDir;
}

/** Named in the last line of the run. @param lack what the machine lacks */
export function leaveSkipped(lack: string, file: string): void {
  leave("skipped", `${JSON.stringify({ lack, file })}\n`);
}

function leave(kind: "log" | "folders" | "skipped", text: string): void {
  if (folder !== undefined) appendFileSync(join(folder, `${process.pid}.${kind}`), text);
}
