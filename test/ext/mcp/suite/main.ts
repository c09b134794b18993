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
import { connectDaemon } from "../../../../src/cli/shell/client.js";
import { sessionOf } from "../../../../src/cli/shell/daemon_command.js";
import { McpHttpServer } from "../../../../src/ext/mcp/http_server.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { Results } from "../../../suites/results.js";
import { McpWorld } from "../daemon/mcp_world.js";
import { playClassicClient } from "./classic_client.js";
import { startKeyProxy } from "./key_proxy.js";
import { type Applying, applying, leftOut, withSuiteTools } from "./scenarios.js";
import { type Check, Suite } from "./suite.js";
import { makeSuiteServer } from "./suite_server.js";

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
    const scenarios = await suite.scenarios();
    compare([...scenarios.keys()]);
    const key = world.world.place.apiKey;
    const ours = await startKeyProxy(await world.listen([]), key);
    const listener = await listenWithSuiteTools(world);
    const theirs = await startKeyProxy(listener.url, key);
    try {
      await playScenarios(suite, ours.url, applying, scenarios);
      await playScenarios(suite, theirs.url, withSuiteTools, scenarios, " (its own tools)");
    } finally {
      await ours.close();
      await theirs.close();
      await listener.close();
    }
    if ("sdk 1.x client".includes(values.only)) await playClassicClient(suite, world, results, columns);
  } finally {
    await world.close();
  }
}

/** Every scenario of the suite is played, or left out with a reason. */
function compare(names: readonly string[]): void {
  const played = [...applying, ...withSuiteTools];
  for (const scenario of names) {
    const [, reason] = leftOut.find(([pattern]) => pattern.test(scenario)) ?? [];
    if (reason !== undefined) reasons.push(`${scenario}: ${reason}`);
    else if (!played.some((one) => one.scenario === scenario))
      fail(scenario, "is new: add it to test/ext/mcp/suite/scenarios.ts");
  }
  for (const { scenario, except = {} } of played) {
    for (const [check, why] of Object.entries(except)) reasons.push(`${scenario}, ${check}: ${why}`);
    if (!names.includes(scenario)) fail(scenario, "is no longer in the suite");
  }
}

function fail(scenario: string, reason: string): void {
  columns.add("listed");
  results.fail(scenario, "listed", reason);
}

async function playScenarios(
  suite: Suite,
  url: string,
  rows: readonly Applying[],
  scenarios: ReadonlyMap<string, readonly string[]>,
  suffix = "",
): Promise<void> {
  for (const row of rows.filter(({ scenario }) => scenario.includes(values.only))) {
    for (const revision of scenarios.get(row.scenario) ?? []) {
      columns.add(revision);
      await results.check(`${row.scenario}${suffix}`, revision, async () =>
        judge(row, await suite.play(url, row.scenario, revision)),
      );
    }
  }
}

/** The listener of `nexusd mcp`, as the command makes it, with the suite's tools behind it. */
function listenWithSuiteTools({ world }: McpWorld): Promise<McpHttpServer> {
  const config = { kind: "unix", path: world.place.socket } as const;
  return McpHttpServer.listen({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    allowedHosts: [],
    makeServer: makeSuiteServer,
    clock: new SystemClock(),
    openDaemon: (key) => connectDaemon(config, () => {}, key),
    sessionOf: (daemon) => sessionOf(fakeShell(), daemon),
    onError: () => {},
  });
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
