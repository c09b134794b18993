import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { needs } from "./needs.js";

const root = join(import.meta.dirname, "..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");
const suitesOf = (...files: string[]): string[] =>
  execFileSync("bash", [".ci/run", "--list", ...files], { cwd: root, encoding: "utf8" })
    .trim()
    .split("\n");

const always = ["check", "test", "model", "package"];

test.for([
  ["docs/access.md", ["walk", "docs"]],
  ["src/cli/status.ts", ["daemon", "tools", "walk", "docs"]],
  ["clients/go/cache.go", ["clients", "docs"]],
  ["src/domain/refresh/refresher.ts", ["daemon", "crash", "walks", "model-fleet", "bench-load"]],
  ["proto/nexus/v1/token.proto", ["clients", "interop", "conformance", "docs", "python"]],
] as const)("a change of %s runs what it can break", ([file, more], context) => {
  needs(context, "bash");
  expect(suitesOf(file)).toEqual([...always, ...more]);
});

test("each path of a suite is there, so that a folder that moves takes its suite along", () => {
  const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).split("\n");
  const text = read(".ci/suites.sh");
  const lists = [...text.matchAll(/^\s*(?:suite \S+ \d+ \d (?:""|"[^"]*"|\w+)|\w+=) ?"([^"]*)"/gm)];
  const paths = lists
    .flatMap(([, list = ""]) => list.split(" "))
    .filter((path) => !/^(\$|always|never)/.test(path));
  expect(paths.length).toBeGreaterThan(100);
  expect(paths.filter((path) => !files.some((file) => file.startsWith(path)))).toEqual([]);
});

test("each suite of package.json is run by CI", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const suites = read(".ci/suites.sh");
  const byOthers = ["test:security", "test:quarantine"];
  const missing = Object.keys(scripts).filter((name) => name.startsWith("test:") && !suites.includes(name));
  expect(missing.filter((name) => !byOthers.includes(name))).toEqual([]);
});

test("no test is in quarantine without a reason", () => {
  const [, ...lines] = read("test/quarantine.txt").trimEnd().split("\n");
  expect(lines.filter((line) => !/^test\/\S+\.test\.ts # \S.{20,}/.test(line))).toEqual([]);
});
