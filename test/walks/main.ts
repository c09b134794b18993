/**
 * `npm run walks [-- --files]`: sends one request of each kind to daemons in this process and prints of how many files a function ran.
 * Fails if a walk runs through more files than `limits.ts` allows. `--files` prints their names.
 */
import { parseArgs } from "node:util";
import { postgresPrograms } from "../needs.js";
import { Coverage } from "./coverage.js";
import { limits, roomsOf } from "./limits.js";
import { forwardedWalk, heldWalk, type Walks, walksOfOneDaemon } from "./walks.js";

const { values } = parseArgs({ options: { files: { type: "boolean", default: false } } });
const coverage = await Coverage.start();
const walks: Walks = {
  ...(await walksOfOneDaemon(coverage)),
  ...(await heldWalk(coverage)),
  ...(postgresPrograms() !== undefined && (await forwardedWalk(coverage))),
};
const failures: string[] = [];
console.log("| walk | files of rooms | at most | goal | files of floors |\n| --- | --- | --- | --- | --- |");
for (const [title, { atMost, goal }] of Object.entries(limits)) {
  const files = walks[title];
  if (files === undefined) {
    console.log(`| ${title} | needs PostgreSQL | ${atMost} | ${goal} | |`);
    continue;
  }
  const rooms = roomsOf(files);
  console.log(`| ${title} | ${rooms.length} | ${atMost} | ${goal} | ${files.length - rooms.length} |`);
  if (values.files) console.log(files.map((path) => `  ${path}`).join("\n"));
  if (rooms.length > atMost) failures.push(`${title} runs through ${rooms.length} files, at most ${atMost}`);
}
for (const words of failures) console.error(`walks: FAILED: ${words}`);
process.exit(failures.length === 0 ? 0 : 1);
