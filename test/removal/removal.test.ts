import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";

const root = join(import.meta.dirname, "../..");
const list = "src/ext/extensions.ts";
const names = [...readFileSync(join(root, list), "utf8").matchAll(/"\.\/(\w+)\/extension\.js"/g)].map(
  ([, name = ""]) => name,
);

/** A copy of what git knows, without an extension: its folders, and its two lines in the list. */
function without(name: string): string {
  const copy = temporaryFolder();
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of files.trim().split("\n")) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  for (const tree of ["src", "test"]) rmSync(join(copy, tree, "ext", name), { recursive: true, force: true });
  const text = readFileSync(join(copy, list), "utf8");
  const variable = new RegExp(`^import \\{ (\\w+) \\} from "\\./${name}/extension\\.js";\\n`, "m").exec(text);
  expect(variable, `${list} imports ${name}`).not.toBeNull();
  const [line = "", word = ""] = variable ?? [];
  writeFileSync(join(copy, list), text.replace(line, "").replace(new RegExp(`\\b${word}\\b,?\\s*`), ""));
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  return copy;
}

/** What tests, benches or examples have of the extension goes with it: files whose imports are not there. */
function withoutDangling(copy: string): void {
  const dangling = (path: string): boolean =>
    [...readFileSync(join(copy, path), "utf8").matchAll(/(?:from |import\()\s*"(\.[^"]*)"/g)].some(
      ([, to = ""]) => {
        const target = join(copy, dirname(path), to);
        return !existsSync(target) && !existsSync(target.replace(/\.js$/, ".ts"));
      },
    );
  for (let gone = [""]; gone.length > 0; ) {
    const files = ["test", "bench", "examples"].flatMap((tree) =>
      readdirSync(join(copy, tree), { recursive: true, encoding: "utf8" }).map((file) => join(tree, file)),
    );
    gone = files.filter((file) => file.endsWith(".ts") && dangling(file));
    for (const file of gone) rmSync(join(copy, file));
  }
}

function run(copy: string, ...args: string[]): string {
  try {
    return execFileSync(process.execPath, args, {
      cwd: copy,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${args.join(" ")}: ${stdout}${stderr}`);
  }
}

/** Serves until it is ready. */
async function serve(copy: string): Promise<void> {
  const daemon = spawn(process.execPath, ["dist/main.js", "serve"], {
    cwd: copy,
    env: { ...process.env, HOME: copy, NEXUS_DATA_DIR: join(copy, "data"), NEXUS_PORT_BASE: "", ...free },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  for await (const text of daemon.stdout.setEncoding("utf8")) {
    output += text;
    if (output.includes("nexusd is ready")) daemon.kill("SIGTERM");
  }
  expect(output).toContain("nexusd is ready");
}

const free = Object.fromEntries(
  ["HTTP", "BROWSER", "OPS", "CONSOLE"].map((name) => [`NEXUS_${name}_LISTEN`, "127.0.0.1:0"]),
);

describe.each(names)("without the extension %s", (name) => {
  it("the rest type-checks, builds, starts and passes its own tests", { timeout: 600_000 }, async () => {
    const copy = without(name);
    withoutDangling(copy);
    const bin = (path: string) => join("node_modules", path);
    run(copy, bin("typescript/bin/tsc"), "--noEmit");
    run(copy, "scripts/build.mjs");
    await serve(copy);
    // No other test sees the list of extensions.
    const tests = [
      "test/cli",
      "test/config",
      "test/architecture.test.ts",
      ...["test/ext"].filter(() => names.length > 1),
      // The wired domain of the tests has the grant types of all extensions.
      ...["test/domain"].filter(() => name === "grants"),
    ];
    run(copy, bin("vitest/vitest.mjs"), "run", "--project", "unit", ...tests);
  });
});
