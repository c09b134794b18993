/**
 * `npm run test:mcp-conformance [-- --only WORD]`: the public conformance suite of MCP (npm, one exact version) against a running daemon.
 * Each scenario starts an MCP server and its authorization server, and runs `agent.mjs`, which asks the daemon for tokens and plays the
 * person's browser. Counted are the scenarios `auth/*` that the revision of 2026-07-28 requires, and the two for servers of 2025-03-26;
 * warnings count as failures. The suite needs Node 22: where this one is older, it takes that of npm.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { run } from "../../../suites/building.js";
import { root } from "../../../suites/languages.js";
import { Results } from "../../../suites/results.js";
import { ConformanceDaemon } from "./conformance_daemon.js";
import { installedSuite, type Outcome, outcomesIn, suitableNode } from "./suite.js";

const revision = "2026-07-28";
const maxSuiteSeconds = 540;
/** On two laden cores all scenarios start at once. */
const scenarioTimeoutMs = 150_000;

/** A client that does what it must cannot come to its token: the scenario is about being refused. */
const refusals = [
  ...["auth/resource-mismatch", "auth/scope-retry-limit", "auth/metadata-issuer-mismatch"],
  ...["auth/iss-supported-missing", "auth/iss-wrong-issuer", "auth/iss-unexpected", "auth/iss-normalized"],
];
/** Of extensions whose grants the daemon has. */
const extensions: readonly string[] = [
  ...["auth/client-credentials-basic", "auth/client-credentials-jwt"],
  ...["auth/enterprise-managed-authorization", "auth/wif-jwt-bearer"],
];

const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const results = new Results();
const folder = mkdtempSync(join(tmpdir(), "nexus-mcp-conformance-"));
try {
  await play();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(`\n${results.table(["checks"])}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${results.passed} passed, ${results.failed} failed, ${results.missing} missing\n`);
process.exitCode = results.failed > 0 || results.passed + results.missing === 0 ? 1 : 0;

async function play(): Promise<void> {
  let tools: { readonly node: string; readonly suite: string };
  try {
    tools = { node: await suitableNode(), suite: await installedSuite() };
  } catch (error) {
    return results.miss("the suite", "checks", (error as Error).message, process.env["CI"] === "true");
  }
  const daemons = await ConformanceDaemon.startBoth();
  try {
    await playSuite(tools, ["--requirements", revision], requiredScenarios(tools.suite), daemons);
    const backCompatible = [
      "auth/2025-03-26-oauth-metadata-backcompat",
      "auth/2025-03-26-oauth-endpoint-fallback",
    ];
    await playSuite(
      tools,
      ["--suite", "backcompat", "--spec-version", "2025-03-26"],
      backCompatible,
      daemons,
    );
  } finally {
    await Promise.all(Object.values(daemons).map((daemon) => daemon.stop()));
  }
}

/** Those that the suite names for the revision, and the extensions. */
function requiredScenarios(suite: string): readonly string[] {
  const text = readFileSync(join(dirname(suite), `../requirements/${revision}.yaml`), "utf8");
  const client = /^client:\n((?: {2}- .*\n)+)/m.exec(text)?.[1] ?? "";
  const required = [...client.matchAll(/- (auth\/\S+)/g)].map(([, name]) => name ?? "");
  if (required.length === 0) throw new Error("the suite requires nothing of a client: it is another one");
  return [...required, ...extensions];
}

async function playSuite(
  tools: { readonly node: string; readonly suite: string },
  which: readonly string[],
  scenarios: readonly string[],
  daemons: Readonly<Record<string, ConformanceDaemon>>,
): Promise<void> {
  const wanted = scenarios.filter((name) => name.includes(values.only));
  if (wanted.length === 0) return;
  const output = join(folder, which.join("-").replaceAll("--", ""));
  const agent = `${tools.node} ${join(import.meta.dirname, "agent.mjs")}`;
  const command = [
    ...[tools.node, tools.suite, "client", "--command", agent, "--timeout", String(scenarioTimeoutMs)],
    ...["--output-dir", output, ...which],
  ];
  const places = Object.entries(daemons).map(([name, { place }]) => [name, place]);
  const environment = { NEXUS_CONFORMANCE_DAEMONS: JSON.stringify(Object.fromEntries(places)) };
  await run({ cwd: root, command, environment }, maxSuiteSeconds);
  const outcomes = outcomesIn(output);
  for (const name of wanted) {
    await results.check(name, "checks", async () => judge(name, outcomes.get(name)));
  }
}

/** @throws Error with every check that is no success */
function judge(name: string, outcome: Outcome | undefined): void {
  if (!outcome) throw new Error("the suite left no result");
  const { checks, stdout, stderr } = outcome;
  const bad = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  const complaints = bad.map(
    (check) => `${check.status} ${check.id}: ${check.errorMessage ?? check.description}`,
  );
  if (!checks.some(({ status }) => status === "SUCCESS")) complaints.push("no check succeeded");
  const isDone = stdout.includes("the tools were listed and called");
  if (isDone === refusals.includes(name))
    complaints.push(isDone ? "it came to a token" : "it came to no token");
  if (complaints.length > 0) throw new Error(`${complaints.join("\n  ")}\n  agent: ${stderr.trim()}`);
}
