/**
 * `npm run test:clients [-- --only WORD] [--lang NAME]... [--built]`: one table of cases for the client libraries of all languages, each played
 * with live daemons by the driver of the library. PROTOCOL.md says what a driver is. Prints a table. A toolchain that is missing is
 * named; with `CI=true` that is a failure. `--built` takes the drivers as they are.
 */
import { parseArgs } from "node:util";
import { type Built, build } from "../suites/building.js";
import { Results } from "../suites/results.js";
import { cache } from "./cases/cache.js";
import { consents } from "./cases/consents.js";
import { hooks } from "./cases/hooks.js";
import { keepingUp } from "./cases/keeping_up.js";
import { opening } from "./cases/opening.js";
import { restarts } from "./cases/restarts.js";
import { snippet } from "./cases/snippet.js";
import { strategies } from "./cases/strategies.js";
import { type ClientLibrary, commandOf, findLibraries } from "./manifests.js";
import { type Case, Scene } from "./scene.js";
import { ClientWorld } from "./world.js";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    lang: { type: "string", multiple: true, default: [] },
    built: { type: "boolean", default: false },
  },
});
const mustHave = process.env["CI"] === "true";
const results = new Results();
const startedMs = Date.now();
const all: readonly Case[] = [
  ...opening,
  ...consents,
  ...cache,
  ...keepingUp,
  ...restarts,
  ...hooks,
  ...strategies,
  ...snippet,
];

function tell(text: string): void {
  process.stdout.write(`${String(Math.round((Date.now() - startedMs) / 1000)).padStart(4)} s  ${text}\n`);
}

function buildLibrary(library: ClientLibrary): Promise<Built> {
  const { language, needs, download = [], run, folder } = library;
  const step = (command: readonly string[]) => ({ cwd: folder, command: commandOf(folder, command) });
  const downloads = download.map((command) => ({ ...step(command), downloads: true as const }));
  return build({ name: language, needs, build: [...downloads, ...library.build.map(step)], run });
}

async function isBuilt(library: ClientLibrary): Promise<boolean> {
  tell(`building: ${library.language}`);
  const built = await buildLibrary(library);
  if (built === "ok") await results.check("build", library.language, async () => undefined);
  else if ("missing" in built) results.miss("build", library.language, built.missing, mustHave);
  else results.fail("build", library.language, built.failed);
  return built === "ok";
}

/** Plays the cases one after the other, with surroundings of their own. */
async function play(library: ClientLibrary, cases: readonly Case[]): Promise<void> {
  const world = await ClientWorld.make();
  try {
    for (const each of cases) {
      const scene = new Scene(world, library);
      const beganMs = Date.now();
      await results.check(each.name, library.language, async () => {
        try {
          world.reset();
          await world.startDaemon();
          await each.play(scene);
        } catch (error) {
          const errors = scene.errors === "" ? "" : `\nthe driver wrote:\n${scene.errors}`;
          throw new Error(`${(error as Error).message}${errors}`);
        } finally {
          await scene.close();
        }
      });
      tell(`${library.language}: ${each.name}, ${((Date.now() - beganMs) / 1000).toFixed(1)} s`);
    }
  } finally {
    await world.close();
  }
}

const wanted = findLibraries().filter(
  ({ lang }) => values.lang.length === 0 || values.lang.some((name) => lang.startsWith(name)),
);
const cases = all.filter(({ name }) => name.toLowerCase().includes(values.only.toLowerCase()));
const plays: Promise<void>[] = [];
for (const lang of new Set(wanted.map((library) => library.lang))) {
  const ready: ClientLibrary[] = [];
  for (const library of wanted.filter((each) => each.lang === lang)) {
    if (values.built || (await isBuilt(library))) ready.push(library);
  }
  // The next language is built meanwhile.
  for (const library of ready) {
    const fail = (error: Error): void =>
      results.fail("the stage", library.language, error.stack ?? error.message);
    plays.push(play(library, cases).catch(fail));
  }
}
await Promise.all(plays);

const { passed, failed, missing } = results;
const rows = ["build", ...all.map(({ name }) => name), "the stage"];
process.stdout.write(
  `\n${results.table(
    wanted.map(({ language }) => language),
    rows,
  )}\n`,
);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${passed} checks passed, ${failed} failed, ${missing} missing\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
