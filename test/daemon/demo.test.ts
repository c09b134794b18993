import { spawn } from "node:child_process";
import { readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "..", "..");
const tsx = join(root, "node_modules", ".bin", "tsx");
const demoFile = join(root, "examples", "demo", "main.ts");
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

it("npm run demo -- --auto --json shows three revisions of a token and the state attention", async () => {
  const demo = await runDemo("--auto", "--json");
  const lines = linesOf(demo);
  expect(lines.map(({ step }) => step)).toEqual([
    "daemon_started",
    "provider_started",
    "provider_registered",
    "connection_requested",
    "consented",
    "snapshot",
    "refreshed",
    "refreshed",
    "grants_revoked",
    "attention",
    "drain",
    "done",
  ]);

  const tokenLines = lines.filter((line) => "revision" in line);
  const alive = { status: "active", expires_at: expect.stringMatching(rfc3339) };
  expect(tokenLines).toMatchObject([
    { revision: 1, ...alive },
    { revision: 2, ...alive },
    { revision: 3, ...alive },
    { revision: 3, status: "attention", expires_at: null, reason: "reauth_required" },
  ]);
  const expiryTimes = tokenLines.slice(0, 3).map((line) => Date.parse(String(line["expires_at"])));
  expect(expiryTimes).toEqual(expiryTimes.toSorted((a, b) => a - b));

  // An access token, a secret or the state of a link would be a word of 32 characters or more; ids have hyphens at known places.
  const words = demo.stdout.match(/[\w-]{32,}/g) ?? [];
  expect(words.filter((word) => !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(word))).toEqual([]);

  const dataDir = String(lines[0]?.["data_dir"]);
  expect(dirname(dataDir)).toBe(tmpdir());
  expect(readdirSync(tmpdir())).not.toContain(basename(dataDir));
}, 120_000);

it("npm run demo prints commands that work as they are printed", async () => {
  // In one process, which can be stopped: on a busy machine the demo would end while a command runs. Its daemon goes on, and its
  // provider does not, which `connect` asks.
  const demo = spawn(process.execPath, ["--import", "tsx", demoFile, "--auto"], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => demo.once("close", resolve));
  let setUp = "";
  const tried: string[] = [];
  try {
    for await (const line of createInterface(demo.stdout)) {
      setUp ||= /^ +(export NEXUS_DATA_DIR=.*)$/.exec(line)?.[1] ?? "";
      const command = /^ +by hand: (.*)$/.exec(line)?.[1];
      if (command === undefined) continue;
      if (!command.includes(" connect ")) demo.kill("SIGSTOP");
      tried.push(`${command.split(" ").slice(3).join(" ")}: ${await firstLine(`${setUp}\n${command}`)}`);
      demo.kill("SIGCONT");
      if (tried.length === 4) break;
    }
  } finally {
    demo.kill();
    demo.kill("SIGCONT");
    await exited;
  }
  expect(tried).toEqual([
    expect.stringMatching(/^status: nexusd /),
    expect.stringMatching(/^provider show demo: name +demo$/),
    expect.stringMatching(/^connect demo\/ada: demo\/ada already exists \(\w+\)/),
    expect.stringMatching(/^watch demo\/ada: [\d:]{8} {2}demo\/ada .* active /),
  ]);
}, 120_000);

function linesOf(demo: Awaited<ReturnType<typeof runDemo>>): Record<string, unknown>[] {
  expect(demo.stderr).toBe("");
  expect(demo.exitCode).toBe(0);
  return demo.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** What a shell command writes first to standard output or error; it is ended then. */
async function firstLine(command: string): Promise<string> {
  const child = spawn("sh", ["-c", `exec 2>&1\n${command}`], { cwd: root, detached: true });
  const exited = new Promise((resolve) => child.once("close", resolve));
  try {
    for await (const line of createInterface(child.stdout)) return line;
    return "";
  } finally {
    try {
      process.kill(-(child.pid ?? 0));
    } catch {
      // It ended by itself.
    }
    await exited;
  }
}

it("npm run demo -- --static --auto --json shows a key that is captured, handed out and replaced", async () => {
  const demo = await runDemo("--static", "--auto", "--json");
  const lines = linesOf(demo);
  expect(lines.map(({ step }) => step)).toEqual([
    "daemon_started",
    "api_started",
    "provider_registered",
    "connection_requested",
    "schema_read",
    "captured",
    "replaced",
    "replacement_seen",
    "done",
  ]);
  expect(lines.filter((line) => "status" in line)).toMatchObject([
    { revision: 1, status: "active" },
    { revision: 2, status: "active" },
  ]);
  expect(lines.at(-1)).toMatchObject({ revisions: 2 });
  expect(demo.stdout).not.toContain("demo-key");
}, 120_000);

it("npm run demo -- --fleet names PostgreSQL where it is missing, and the argument that does not go with it", async () => {
  const folder = temporaryFolder();
  symlinkSync(process.execPath, join(folder, "node"));
  const demo = await runDemoWith({ ...process.env, PATH: folder }, "--fleet", "--auto", "--json");
  expect(demo.exitCode).toBe(1);
  expect(JSON.parse(demo.stdout)).toMatchObject({
    step: "failed",
    reason: expect.stringContaining("apt-get install postgresql"),
  });

  const both = await runDemo("--fleet", "--static");
  expect(both.exitCode).toBe(2);
  expect(both.stderr).toContain("name one of them");
}, 120_000);

/** What `npm run demo` starts once it has built dist/. */
const runDemo = (...words: string[]) => runDemoWith(process.env, ...words);

async function runDemoWith(environment: NodeJS.ProcessEnv, ...words: string[]) {
  const demo = spawn(tsx, [demoFile, ...words], {
    cwd: root,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    // Longer than the demo's own deadline is never needed; at SIGTERM it takes its daemon with it.
    timeout: 110_000,
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    demo.once("error", reject);
    demo.once("close", resolve);
  });
  const [stdout, stderr, exitCode] = await Promise.all([text(demo.stdout), text(demo.stderr), exited]);
  return { stdout, stderr, exitCode };
}
