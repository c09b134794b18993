// Reads a JSON report of vitest: `counts FILE` prints its passed and failed tests, `failures FILE` the names of what failed.
import { readFileSync } from "node:fs";
import { basename } from "node:path";

const [, , what, file] = process.argv;
const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(file, "utf8"));
const firstLine = (text = "") => `: ${text.split("\n")[0].slice(0, 160)}`;

if (what === "counts") console.log(numPassedTests, numFailedTests);
else {
  const failures = testResults.flatMap(({ name, message, assertionResults }) => [
    ...(message ? [basename(name) + firstLine(message)] : []),
    ...assertionResults
      .filter(({ status }) => status === "failed")
      .map(
        ({ title, failureMessages }) =>
          `${basename(name)} ${title.slice(0, 100)}${firstLine(failureMessages[0])}`,
      ),
  ]);
  console.log(failures.slice(0, 20).join("\n"));
}
