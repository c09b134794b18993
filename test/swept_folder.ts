import { appendFileSync } from "node:fs";
import { join } from "node:path";

/** Where tests leave what daemons wrote, for `canary_sweep.ts` to look through when all have ended; none outside of such a run. */
const folder = process.env["CANARY_SWEEP_FOLDER"];

export function leaveLog(text: string): void {
  if (folder !== undefined) appendFileSync(join(folder, `${process.pid}.log`), text);
}

/** A data folder to look through as well, if it is still there in the end. */
export function leaveFolder(dataDir: string): void {
  if (folder !== undefined) appendFileSync(join(folder, `${process.pid}.folders`), `${dataDir}\n`);
}
