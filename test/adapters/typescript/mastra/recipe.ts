/** The recipe of docs/frameworks/recipes.md, as it stands. */
import { appendFileSync } from "node:fs";
import { playPage } from "../page_case.js";

let outcome = "passed";
try {
  await playPage(() => import("./page.js"));
} catch (error) {
  outcome = "failed";
  console.error(error);
}
appendFileSync(process.env["REPORT"] ?? "/dev/stdout", `the page\t${outcome}\n`);
