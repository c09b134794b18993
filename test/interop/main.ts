/**
 * `npm run test:interop [-- --only WORD] [--seed N]`: generates, builds and runs the example agents of all languages against a live
 * daemon, over the Unix socket and over TCP with a key, and the tools by which people look into a gRPC server; then holds what the
 * REST routes answer against the OpenAPI document, with requests that `--seed` repeats. Prints a table. A toolchain that is missing is named; with `CI=true` that is a failure.
 */
import { mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { pathOf } from "../needs.js";
import { type Built, build } from "../suites/building.js";
import {
  goTools,
  type Language,
  languages,
  libraryAgents,
  page,
  schemathesis,
  toolsFolder,
} from "../suites/languages.js";
import { checkReconnecting } from "../suites/reconnecting.js";
import { Results } from "../suites/results.js";
import { Stage } from "../suites/stage.js";
import { overhearAuthority } from "./authority.js";
import { playLibraryAgents } from "./library_agents.js";
import { playSchemathesis } from "./rest_document.js";
import { checks, playAgents } from "./scenario.js";
import { playPage, playTools } from "./tools.js";

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, seed: { type: "string", default: "1" } },
});
const mustHave = process.env["CI"] === "true";
const results = new Results();
const startedMs = Date.now();

function tell(text: string): void {
  process.stdout.write(`${String(Math.round((Date.now() - startedMs) / 1000)).padStart(4)} s  ${text}\n`);
}

const isWanted = ({ name }: Language) => name.toLowerCase().includes(values.only.toLowerCase());

/** Builds one after the other: each uses all cores by itself. @returns whether it can be run */
async function isBuilt(language: Language): Promise<boolean> {
  tell(`building: ${language.name}`);
  const built: Built = await build(language);
  if (built === "ok") await results.check(language.name, "build", async () => undefined);
  else if ("missing" in built) results.miss(language.name, "build", built.missing, mustHave);
  else results.fail(language.name, "build", built.failed);
  return built === "ok";
}

mkdirSync(toolsFolder, { recursive: true });
const ready: Language[] = [];
for (const language of languages.filter(isWanted)) if (await isBuilt(language)) ready.push(language);
const withLibrary: Language[] = [];
for (const language of libraryAgents.filter(isWanted))
  if (await isBuilt(language)) withLibrary.push(language);
const hasTools = isWanted(goTools) && (await isBuilt(goTools));
const hasSchemathesis = isWanted(schemathesis) && (await isBuilt(schemathesis));
const hasPage = isWanted(page) && (await isBuilt(page));

const stage = await Stage.set();
try {
  tell(`playing: ${ready.length} agents through two listeners`);
  await playAgents(stage, ready, results);
  if (withLibrary.length > 0) {
    tell(`playing: ${withLibrary.length} agents with a client library`);
    await playLibraryAgents(stage, withLibrary, results);
  }
  for (const language of ready) {
    await results.check(`${language.name}, unix`, "authority", async () => {
      tell(`${language.name} sends the :authority ${await overhearAuthority(language)}`);
    });
  }
  tell("playing: a daemon that fails again and again");
  await Promise.all(
    ready.map((language) =>
      results.check(`${language.name}, unix`, "backoff", () => checkReconnecting(language)),
    ),
  );
  if (isWanted(goTools)) {
    tell("playing: the tools");
    if (pathOf("curl") === undefined) results.miss("curl", "json", "curl", mustHave);
    await playTools(stage, hasTools, results);
  }
  if (hasPage) {
    tell("playing: the page");
    await playPage(stage, results);
  }
  if (hasSchemathesis) {
    tell("playing: schemathesis");
    await playSchemathesis(stage, values.seed, results, tell);
  }
} catch (error) {
  results.fail("the stage", "build", (error as Error).stack ?? String(error));
} finally {
  await stage.strike();
}

const { passed, failed, missing } = results;
process.stdout.write(
  `\n${results.table(["build", ...checks, "backoff", "authority", "unix", "tcp", "json"])}\n`,
);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${passed} checks passed, ${failed} failed, ${missing} missing\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
