/**
 * Makes the fixture of a version, once, when it is released:
 *
 *   npx tsx test/upgrade/freeze.ts COMMIT [NAME]
 *
 * It builds that commit in a folder of its own, packs its clients for npm and Python, and starts its daemon, which writes a record of
 * every kind as `story.ts` tells it. Then it kills the daemon while a refresh is not answered, and keeps the folder as it was left.
 * The same with a hub of a fleet, whose schema it dumps. `versions/NAME` gets:
 *
 * - `data.tar.gz`: the data folder, with its keys, which are a test's
 * - `fleet.sql.gz`: the schema of the fleet
 * - `clients/`: the packed clients
 * - `frozen.json`: what the daemon answered about its records, and what a test needs to use them
 *
 * Needs PostgreSQL, and Python 3 with venv. What is frozen stays as it is.
 */

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Postgres } from "../fakes/postgres.js";
import { freePort } from "../free_port.js";
import { FrozenProvider } from "./frozen_provider.js";
import type { Call } from "./rpc.js";
import { callOf, type FrozenSettings, frozenSettings, writeKeys } from "./settings.js";
import { ask, rulesOfRequests, Story } from "./story.js";
import {
  built,
  type Capabilities,
  capabilitiesOf,
  type Frozen,
  programOf,
  root,
  versionsFolder,
  workFolder,
} from "./version.js";

interface Freezing {
  readonly checkout: string;
  readonly provider: FrozenProvider;
  readonly capabilities: Capabilities;
  readonly work: string;
}

/** Stops once, so that what is kept until then is written, and is killed while the refresh of `ivy` is not answered. */
async function freezeFolder(freezing: Freezing) {
  const { checkout, work, provider, capabilities } = freezing;
  const more: Record<string, string> = capabilities.accessLimits ? { NEXUS_RECORD_REQUESTS: "true" } : {};
  const settings = { ...(await frozenSettings(join(work, "data"))), ...more };
  writeKeys(settings);
  const policy = readFileSync(join(checkout, "examples/policy.yaml"), "utf8");
  writeFileSync(settings.NEXUS_POLICY_FILE, policy + (capabilities.accessLimits ? rulesOfRequests : ""));
  const serve = () => new DaemonProcess(settings, ["serve"], [], programOf(checkout));
  const story = new Story(callOf(settings), provider, capabilities);
  const first = serve();
  try {
    await first.ready();
    provider.down.add("/hook");
    const told = await story.tell();
    await first.kill("SIGTERM");
    return { told, settings: more, ...(await killed(serve(), story, callOf(settings), freezing)) };
  } finally {
    await first.kill("SIGKILL");
  }
}

async function killed(daemon: DaemonProcess, story: Story, call: Call, { provider, capabilities }: Freezing) {
  try {
    await daemon.ready();
    await story.failing("hal");
    const answers = await ask(call, capabilities);
    provider.silent.add(await story.consent("ivy"));
    const before = provider.refreshes.length;
    void story.refresh("ivy").catch(() => undefined);
    while (provider.refreshes.length === before) await new Promise((resolve) => setTimeout(resolve, 20));
    return { answers, atMs: Date.now() };
  } finally {
    await daemon.kill("SIGKILL");
  }
}

async function freezeFleet({ checkout, provider, capabilities, work }: Freezing, target: string) {
  const postgres = await Postgres.start();
  try {
    const settings: FrozenSettings = {
      ...(await frozenSettings(join(work, "hub"))),
      NEXUS_STORE: postgres.url(),
      NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
    };
    writeKeys(settings);
    writeFileSync(settings.NEXUS_POLICY_FILE, "bindings: []\n");
    const init = new DaemonProcess(settings, ["fleet", "init"], [], programOf(checkout));
    if ((await init.exited) !== 0) throw new Error(init.output);
    const hub = new DaemonProcess(settings, ["serve"], [], programOf(checkout));
    const story = new Story(callOf(settings), provider, capabilities);
    try {
      await hub.ready();
      await story.acme();
      await story.consent("ada");
      await story.key("ci", { role: "ROLE_AGENT", restriction: { userIds: ["ada"] } });
    } finally {
      await hub.kill("SIGTERM");
    }
    const args = ["--schema=nexus", "--no-owner", "--no-privileges", "--dbname", postgres.url()];
    const sql = execFileSync("pg_dump", args, { encoding: "utf8", maxBuffer: 2 ** 28 });
    writeFileSync(join(target, "fleet.sql.gz"), gzipSync(sql, { level: 9 }));
    return { connectionId: story.connections["ada"] ?? "", key: story.keys["ci"] ?? "" };
  } finally {
    await postgres.close();
  }
}

function packClients(checkout: string, work: string, target: string): void {
  mkdirSync(target);
  const client = join(checkout, "clients/typescript");
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: client, stdio: ["ignore", "ignore", "inherit"] });
  run(process.execPath, "build.mjs");
  run("npm", "pack", "--ignore-scripts", "--pack-destination", target);
  const python = join(work, "python/bin/python");
  run("python3", "-m", "venv", join(work, "python"));
  const requirements = join(root, "scripts/release/python/requirements.txt");
  run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", requirements);
  const wheel = ["-m", "hatchling", "build", "--target", "wheel", "--directory", target];
  execFileSync(python, wheel, {
    cwd: join(checkout, "clients/python"),
    stdio: ["ignore", "ignore", "inherit"],
  });
}

async function freeze(commit: string, name: string): Promise<void> {
  const full = execFileSync("git", ["rev-parse", commit], { cwd: root, encoding: "utf8" }).trim();
  const checkout = built(full);
  const work = workFolder();
  const target = join(versionsFolder, name);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const { version } = JSON.parse(readFileSync(join(checkout, "package.json"), "utf8")) as Frozen;
  const provider = await FrozenProvider.start();
  try {
    packClients(checkout, work, join(target, "clients"));
    const freezing = { checkout, provider, work, capabilities: capabilitiesOf(version) };
    const { told, ...left } = await freezeFolder(freezing);
    const kept = ["--exclude=*.sock", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"];
    const tar = execFileSync("tar", [...kept, "-cf", "-", "-C", join(work, "data"), "."], {
      maxBuffer: 2 ** 28,
    });
    writeFileSync(join(target, "data.tar.gz"), gzipSync(tar, { level: 9 }));
    const fleet = await freezeFleet(freezing, target);
    const frozen: Frozen = { version, commit: full, ...left, ...told, fleet };
    writeFileSync(join(target, "frozen.json"), `${JSON.stringify(frozen, undefined, 1)}\n`);
  } finally {
    await provider.close();
    rmSync(work, { recursive: true, force: true });
  }
}

const [commit = "HEAD", name = commit] = process.argv.slice(2);
await freeze(commit, name);
