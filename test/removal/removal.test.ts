import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const list = "src/ext/extensions.ts";
const names = [...readFileSync(join(root, list), "utf8").matchAll(/"\.\/(\w+)\/extension\.js"/g)].map(
  ([, name = ""]) => name,
);

/** Those that the present change touches; all where it is not named, or touches none. */
const touched = names.filter((name) =>
  new RegExp(`^(src|test)/ext/${name}/`, "m").test(process.env["CHANGED_FILES"] ?? ""),
);

/** Each by itself; where a change touches many, in four groups, since what stands alone stands without others too. */
const maxAlone = 4;
const removals =
  touched.length <= maxAlone
    ? (touched.length > 0 ? touched : names).map((name) => [name])
    : Array.from({ length: maxAlone }, (_, group) =>
        touched.filter((_name, index) => index % maxAlone === group),
      );

/** What git knows, in one copy: each test removes from it, and brings back. It goes with the folder of the run. */
let copy = "";
beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), "nexus-removal-"));
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of files.trim().split("\n")) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
}, 300_000);

const textOf = (path: string) => readFileSync(join(copy, path), "utf8");

/** Takes extensions out of the copy: their folders, their lines in the list, and what imports them. @returns what brings them back */
function remove(...gone: string[]): () => void {
  const before = textOf(list);
  const removed: string[] = [];
  const putAside = (path: string) => {
    mkdirSync(dirname(join(copy, "removed", path)), { recursive: true });
    renameSync(join(copy, path), join(copy, "removed", path));
    removed.push(path);
  };
  for (const name of gone) {
    for (const path of [`src/ext/${name}`, `test/ext/${name}`])
      if (existsSync(join(copy, path))) putAside(path);
    const text = textOf(list);
    const [line = "", word = ""] =
      new RegExp(`^import \\{ (\\w+) \\} from "\\./${name}/extension\\.js";\\n`, "m").exec(text) ?? [];
    expect(line, `${list} imports ${name}`).not.toBe("");
    writeFileSync(join(copy, list), text.replace(line, "").replace(new RegExp(`\\b${word}\\b,?\\s*`), ""));
  }
  // What tests, benches, examples or scripts have of an extension goes with it.
  for (let dangling = [""]; dangling.length > 0; ) {
    dangling = sources().filter((file) =>
      importsOf(file).some((to) => existsSync(join(copy, "removed", to))),
    );
    dangling.forEach(putAside);
  }
  return () => {
    for (const path of removed.reverse()) renameSync(join(copy, "removed", path), join(copy, path));
    rmSync(join(copy, "removed"), { recursive: true });
    writeFileSync(join(copy, list), before);
  };
}

function sources(): string[] {
  return ["test", "bench", "examples", "scripts"].flatMap((tree) =>
    readdirSync(join(copy, tree), { recursive: true, encoding: "utf8" })
      .map((file) => join(tree, file))
      .filter((file) => /\.tsx?$/.test(file)),
  );
}

/** The files that a file imports, statically or not. */
function importsOf(path: string): string[] {
  return [...textOf(path).matchAll(/(?:from |import\()\s*"(\.[^"]*)"/g)].flatMap(([, to = ""]) => {
    const target = join(dirname(path), to);
    return [target, target.replace(/\.js$/, ".ts"), target.replace(/\.js$/, ".tsx")];
  });
}

/** The tests of what is left, but for those that hold the documents and the suites against the whole tree. */
function testsLeft(): string[] {
  const ofTree = /^test\/(documents\/|ci\.test|architecture\/)/;
  return sources().filter((file) => /\.test\.tsx?$/.test(file) && !ofTree.test(file));
}

/**
 * Those that see the list of extensions; to all others, nothing is gone. The wired domain takes grant types from it, and nothing else.
 */
function testsOfList(gone: readonly string[]): string[] {
  const imports = sources()
    .filter((file) => gone.includes("grants") || file !== "test/fakes/wired_domain.ts")
    .map((file) => [file, importsOf(file)] as const);
  const seeing = new Set([list]);
  for (let size = 0; size < seeing.size; ) {
    size = seeing.size;
    for (const [file, targets] of imports) if (targets.some((to) => seeing.has(to))) seeing.add(file);
  }
  return testsLeft().filter((file) => seeing.has(file));
}

function run(...args: string[]): string {
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
async function serve(): Promise<void> {
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

const bin = (path: string) => join("node_modules", path);

/** The rest type-checks (warm after the first), builds and starts. */
async function stands(): Promise<void> {
  run(bin("typescript/bin/tsc"), "--noEmit", "--incremental", "--tsBuildInfoFile", "types.tsbuildinfo");
  run("scripts/build.mjs");
  await serve();
}

const passes = (...tests: string[]) => run(bin("vitest/vitest.mjs"), "run", "--project", "unit", ...tests);

describe.each(removals.map((gone) => [gone.join(", "), gone] as const))("without %s", (_names, gone) => {
  it("the rest type-checks, builds, starts and passes its own tests", { timeout: 600_000 }, async () => {
    const bringBack = remove(...gone);
    try {
      await stands();
      passes("test/architecture.test.ts", ...testsOfList(gone));
    } finally {
      bringBack();
    }
  });
});
