import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { download, run } from "../../../suites/building.js";

/** What is installed is kept here from run to run. */
const folder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexus-mcp-conformance");
const packages = ["@modelcontextprotocol/conformance@0.2.0-alpha.12", "@modelcontextprotocol/sdk@1.32.2"];
/** The suite needs Node 22. */
const minNodeMajor = 22;
const nodePackage = `node-${process.platform}-${process.arch}@26`;
const maxScenarioSeconds = 60;

/** One check of a scenario, as the suite writes it. */
export interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
}

/** The suite, installed. */
export class Suite {
  #played = 0;

  private constructor(
    private readonly node: string,
    private readonly results: string,
  ) {}

  /** @returns what is missing, where it cannot be installed */
  static async install(results: string): Promise<Suite | { readonly missing: string }> {
    mkdirSync(folder, { recursive: true });
    const isOwnNew = Number(process.versions.node.split(".")[0]) >= minNodeMajor;
    const wanted = isOwnNew ? packages : [...packages, nodePackage];
    const stamp = join(folder, "installed.txt");
    const list = wanted.join("\n");
    if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== list) {
      const command = [
        "npm",
        "install",
        "--prefix",
        folder,
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        ...wanted,
      ];
      const { code, output } = await download({ cwd: folder, command });
      if (code !== 0) return { missing: `${wanted.join(", ")} (npm: ${output.trim().split("\n").at(-1)})` };
      writeFileSync(stamp, list);
    }
    const node = isOwnNew
      ? process.execPath
      : join(folder, "node_modules", nodePackage.replace(/@\d+$/, ""), "bin/node");
    if (!existsSync(node)) return { missing: `Node ${minNodeMajor} or newer (npm i ${nodePackage})` };
    return new Suite(node, results);
  }

  /** A file of an installed package. */
  file(path: string): string {
    return join(folder, "node_modules", path);
  }

  /** The scenarios for servers, each with the revisions that it is for. */
  async scenarios(): Promise<Map<string, string[]>> {
    const { code, output } = await this.#run(["list", "--server"]);
    const found = [...output.matchAll(/^ {2}- (\S+) \[([^\]]*)\]$/gm)];
    if (code !== 0 || found.length < 10)
      throw new Error(`the suite lists no scenarios: ${output.slice(-2000)}`);
    return new Map(found.map(([, name = "", revisions = ""]) => [name, revisions.split(",")]));
  }

  /** Plays a scenario in a revision against the server. */
  async play(url: string, scenario: string, revision: string): Promise<Check[]> {
    const results = join(this.results, `${++this.#played}`);
    const flags = ["--scenario", scenario, "--spec-version", revision, "--output-dir", results];
    const { output } = await this.#run(["server", "--url", url, ...flags]);
    const [place, ...others] = existsSync(results) ? readdirSync(results) : [];
    if (place === undefined || others.length > 0) throw new Error(`no result: ${output.slice(-2000)}`);
    return JSON.parse(readFileSync(join(results, place, "checks.json"), "utf8")) as Check[];
  }

  #run(args: readonly string[]) {
    const program = this.file("@modelcontextprotocol/conformance/dist/index.js");
    return run({ cwd: this.results, command: [this.node, program, ...args] }, maxScenarioSeconds);
  }
}
