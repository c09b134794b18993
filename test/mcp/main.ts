/**
 * `npm run test:mcp [-- --only WORD]`: `nexusd mcp` before a live daemon, judged by what nobody here wrote: the server scenarios of
 * `@modelcontextprotocol/conformance` in every revision of the protocol that they are for (`scenarios.ts` names each that does not apply,
 * with the reason), and the client of `@modelcontextprotocol/sdk` 1.x, which most hosts have in them. Installs both with npm, and
 * Node 26 where it runs on an older one than the suite needs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { McpWorld } from "../daemon/mcp/mcp_world.js";
import { Results } from "../interop/results.js";
import { playClassicClient } from "./classic_client.js";
import { startKeyProxy } from "./key_proxy.js";
import { type Applying, applying, leftOut } from "./scenarios.js";
import { type Check, Suite } from "./suite.js";

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();
const place = mkdtempSync(join(tmpdir(), "nexus-mcp-"));
const columns = new Set<string>();
const reasons: string[] = [];

try {
  const suite = await Suite.install(place);
  if ("missing" in suite) results.miss("conformance", "install", suite.missing, process.env["CI"] === "true");
  else await play(suite);
} finally {
  rmSync(place, { recursive: true });
}

process.stdout.write(`\n${results.table([...columns].sort())}\n`);
if (reasons.length > 0)
  process.stdout.write(`\nWhat does not apply:\n${reasons.map((line) => `  ${line}\n`).join("")}`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exit(results.failed > 0 || results.passed + results.missing === 0 ? 1 : 0);

async function play(suite: Suite): Promise<void> {
  const world = await McpWorld.make();
  try {
    const proxy = await startKeyProxy(await world.listen([]), world.world.place.apiKey);
    try {
      await playScenarios(suite, proxy.url);
    } finally {
      await proxy.close();
    }
    if ("sdk 1.x client".includes(values.only)) await playClassicClient(suite, world, results, columns);
  } finally {
    await world.close();
  }
}

async function playScenarios(suite: Suite, url: string): Promise<void> {
  const scenarios = await suite.scenarios();
  for (const [scenario, revisions] of scenarios) {
    const row = applying.find((one) => one.scenario === scenario);
    const [, reason] = leftOut.find(([pattern]) => pattern.test(scenario)) ?? [];
    if (row === undefined && reason === undefined) {
      results.fail(scenario, "listed", "is new in the suite: add it to test/mcp/scenarios.ts");
      columns.add("listed");
    }
    if (reason !== undefined) reasons.push(`${scenario}: ${reason}`);
    if (row === undefined || !scenario.includes(values.only)) continue;
    for (const [check, why] of Object.entries(row.except ?? {}))
      reasons.push(`${scenario}, ${check}: ${why}`);
    for (const revision of revisions) {
      columns.add(revision);
      await results.check(scenario, revision, async () =>
        judge(row, await suite.play(url, scenario, revision)),
      );
    }
  }
  for (const { scenario } of applying) {
    if (scenarios.has(scenario)) continue;
    columns.add("listed");
    results.fail(scenario, "listed", "is no longer in the suite");
  }
}

/** @throws Error unless exactly the checks fail that do not apply, and some pass */
function judge({ except = {} }: Applying, checks: readonly Check[]): void {
  const failed = checks.filter(({ status }) => status === "FAILURE");
  const wrong = failed.filter(({ id }) => !Object.hasOwn(except, id));
  if (wrong.length > 0)
    throw new Error(wrong.map(({ id, errorMessage }) => `${id}: ${errorMessage}`).join("\n"));
  const stale = Object.keys(except).filter((id) => !failed.some((check) => check.id === id));
  if (stale.length > 0) throw new Error(`passes now, or is gone: ${stale.join(", ")}`);
  if (!checks.some(({ status }) => status === "SUCCESS")) throw new Error("nothing was checked");
}
