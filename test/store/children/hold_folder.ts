/** Takes the data folder, says so, and holds it until it is killed. */
import { writeSync } from "node:fs";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";

const [folder = ""] = process.argv.slice(2);
try {
  lockDataFolder(folder);
  writeSync(1, "held\n");
  setInterval(() => undefined, 60_000);
} catch (error) {
  writeSync(1, `${String(error)}\n`);
}
