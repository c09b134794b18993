/**
 * `npm run test:foreign [-- --only WORD]`: the daemon against authorization servers that other people wrote, each started here behind a
 * proxy that counts, with consents in Chromium and tokens that live 30 seconds. Prints a table. What is missing is named; with
 * `CI=true` that is a failure.
 */
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { freePort } from "../free_port.js";
import { launchChromium } from "../launch_chromium.js";
import { has } from "../needs.js";
import { Results } from "../suites/results.js";
import { BoundScenario } from "./bound.js";
import { CountingProxy } from "./counting_proxy.js";
import { django } from "./django.js";
import { doorkeeper } from "./doorkeeper.js";
import type { ForeignServer, RunningServer } from "./foreign_server.js";
import { glewlwyd } from "./glewlwyd.js";
import { keycloak } from "./keycloak.js";
import { McpScenario } from "./mcp_scenario.js";
import { type ForeignMcpServer, mcpServers } from "./mcp_server.js";
import { Scenario } from "./scenario.js";
import type { ServerProcess } from "./server_process.js";
import { Sidecar } from "./sidecar.js";
import { Stage } from "./stage.js";

const columns = [
  "start",
  "consent",
  "3 refreshes",
  "rotation",
  "reuse",
  "killed",
  "before",
  "after",
  "revoked here",
  "revoked there",
  "outage",
  "secret",
  "machines",
  "exchange",
  "bound",
  "device",
  "refresh",
  "lost client",
  "old link",
] as const;

const servers: readonly ForeignServer[] = [keycloak, glewlwyd, django, doorkeeper];
const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
const mustHave = process.env["CI"] === "true";
const results = new Results();
const startedMs = Date.now();

function tell(text: string): void {
  process.stdout.write(`${String(Math.round((Date.now() - startedMs) / 1000)).padStart(4)} s  ${text}\n`);
}

async function play(foreign: ForeignServer, browser: Browser): Promise<void> {
  const { name } = foreign;
  const port = await freePort();
  const proxy = await CountingProxy.start(port);
  const check = async <T>(
    column: (typeof columns)[number],
    body: () => Promise<T>,
  ): Promise<T | undefined> => {
    let found: T | undefined;
    await results.check(name, column, async () => {
      try {
        found = await body();
      } catch (error) {
        throw new Error(`${(error as Error).message}\nThe server was last asked:\n${proxy.recent}`);
      }
    });
    tell(`${name}: ${column}`);
    return found;
  };
  let server: RunningServer | undefined;
  let sidecar: Sidecar | undefined;
  try {
    const made = await check("start", async () => {
      sidecar = await Sidecar.start();
      server = await foreign.start(port, proxy.origin);
      const stage = new Stage(foreign, server, proxy, sidecar, browser);
      await stage.register();
      return { stage, scenario: new Scenario(stage) };
    });
    if (!made) return;
    const { stage, scenario } = made;
    const granted = await check("consent", () => scenario.checkConsent("ada"));
    if (!granted) return;
    await Promise.all([
      check("3 refreshes", () => scenario.checkThreeRefreshes(granted)),
      check("revoked here", () => scenario.checkRevokedHere("bea")),
      check("revoked there", () => scenario.checkRevokedThere("cem")),
      check("reuse", () => scenario.checkReuse("dan")),
    ]);
    await check("rotation", () => scenario.checkRotation());
    const killed = await check("killed", async () => {
      const [before, after] = [await stage.connect("eve"), await stage.connect("fay")];
      await scenario.killInRefresh(before, after);
      return { before, after };
    });
    if (killed) {
      await check("before", () => scenario.checkKilledBefore(killed.before));
      await check("after", () => scenario.checkKilledAfter(killed.after, "fay"));
    }
    if (server?.registerMachines) await check("machines", () => scenario.checkMachines());
    if (server?.registerExchanger) await check("exchange", () => scenario.checkExchange());
    const bound = new BoundScenario(stage);
    if (server?.makeBound) await check("bound", () => bound.checkBound("gus"));
    if (server?.registerDevice) await check("device", () => bound.checkDevice("fay"));
    await check("outage", () => scenario.checkOutage(granted));
    await check("secret", () => scenario.checkSecret(granted, "ada"));
  } finally {
    await sidecar?.stop();
    await server?.stop();
    await proxy.close();
  }
}

/** The daemon is given the URL of the server and nothing else. */
async function playMcp(foreign: ForeignMcpServer): Promise<void> {
  const { name } = foreign;
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const check = async (column: (typeof columns)[number], body: () => Promise<void>): Promise<void> => {
    await results.check(name, column, body);
    tell(`${name}: ${column}`);
  };
  let server: ServerProcess | undefined;
  let sidecar: Sidecar | undefined;
  const restart = async (): Promise<void> => {
    await server?.stop();
    server = await foreign.start(port, origin);
  };
  try {
    await check("start", async () => {
      sidecar = await Sidecar.start();
      await restart();
    });
    if (!server || !sidecar) return;
    const scenario = new McpScenario(`${origin}/mcp`, sidecar, restart);
    let connectionId = "";
    await check("consent", async () => {
      connectionId = await scenario.checkConsent("ada");
    });
    if (connectionId === "") return;
    await check("refresh", () => scenario.checkRefresh("ada", connectionId));
    if (foreign.endsGrants) await check("revoked there", () => scenario.checkEnded("ada", connectionId));
    await check("lost client", () => scenario.checkLostClient("ada", connectionId));
    await check("old link", () => scenario.checkOldLink("bea"));
  } finally {
    await sidecar?.stop();
    await server?.stop();
  }
}

/** @returns whether it can be started */
async function isInstalled(
  foreign: ForeignServer | ForeignMcpServer,
  needs: string[] = [],
): Promise<boolean> {
  const missing = [...foreign.missing(), ...needs];
  for (const words of missing) results.miss(foreign.name, "start", words, mustHave);
  if (missing.length > 0) return false;
  tell(`installing: ${foreign.name}`);
  try {
    await foreign.install();
    return true;
  } catch (error) {
    results.miss(foreign.name, "start", `what its install brings (${(error as Error).message})`, mustHave);
    return false;
  }
}

const isAsked = ({ name }: { readonly name: string }): boolean =>
  name.toLowerCase().includes(values.only.toLowerCase());
const chromium = has("chromium") ? [] : ["chromium (Debian's chromium)"];
const ready: ForeignServer[] = [];
for (const foreign of servers) {
  if (isAsked(foreign) && (await isInstalled(foreign, chromium))) ready.push(foreign);
}
const readyMcp: ForeignMcpServer[] = [];
for (const foreign of mcpServers) {
  if (isAsked(foreign) && (await isInstalled(foreign))) readyMcp.push(foreign);
}

const browser = ready.length > 0 ? await launchChromium() : undefined;
// All at once: most of the time each waits for a token to end.
await Promise.all([...ready.map((foreign) => browser && play(foreign, browser)), ...readyMcp.map(playMcp)]);
await browser?.close();

const { passed, failed, missing } = results;
process.stdout.write(`\n${results.table(columns)}\n`);
if (results.complaints !== "") process.stdout.write(`\n${results.complaints}\n`);
process.stdout.write(`\n${passed} checks passed, ${failed} failed, ${missing} missing\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
