// Prints what grows: lines, the longest files, the fullest folders, and the longest sentences. It judges nothing; people do.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { longSentences, markdownPassages, protoPassages, sourcePassages } from "../documents/prose.js";
import { filesBelow, root } from "../tree.js";

const [base = ""] = process.argv.slice(2);
const most = 5;

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const isSource = (file: string): boolean => /^src\/(?!gen\/).*\.tsx?$/.test(file);
const sources = filesBelow("src").filter(isSource);
const linesOf = (text: string): number => text.split("\n").length - 1;
const longest = <T>(all: readonly T[], size: (each: T) => number): T[] =>
  all.toSorted((a, b) => size(b) - size(a)).slice(0, most);

/** Lines by file at a commit, by `git grep`, which counts without a checkout. */
function linesAt(commit: string): Map<string, number> {
  const counted = execFileSync("git", ["grep", "-c", "", commit, "--", "src"], {
    cwd: root,
    encoding: "utf8",
  });
  const rows = counted
    .trim()
    .split("\n")
    .map((row) => row.slice(commit.length + 1).split(":"));
  return new Map(
    rows.map(([file = "", count]) => [file, Number(count)] as const).filter(([file]) => isSource(file)),
  );
}

const now = new Map(sources.map((file) => [file, linesOf(read(file))]));
const before = base === "" ? undefined : linesAt(base);
const sum = (lines: ReadonlyMap<string, number>, core: boolean): number =>
  [...lines].reduce((total, [file, count]) => total + (core && file.startsWith("src/ext/") ? 0 : count), 0);
const change = (core: boolean): string => {
  const count = sum(now, core);
  const difference = before && count - sum(before, core);
  return `${count}${difference === undefined ? "" : ` (${difference >= 0 ? "+" : ""}${difference})`}`;
};
console.log(`lines: core ${change(true)}, src ${change(false)}`);

console.log("longest files:");
for (const file of longest(sources, (each) => now.get(each) ?? 0)) console.log(`  ${now.get(file)} ${file}`);

const folders = new Map<string, number>();
for (const file of sources) folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
console.log("fullest folders:");
for (const [folder, count] of longest([...folders], (each) => each[1])) console.log(`  ${count} ${folder}`);

const passages = (file: string) => {
  if (file.endsWith(".md")) return markdownPassages(read(file));
  return file.endsWith(".proto") ? protoPassages(read(file)) : sourcePassages(file, read(file));
};
const long = filesBelow("")
  .filter((file) => /\.md$|^proto\/nexus\/.*\.proto$/.test(file) || isSource(file))
  .flatMap((file) => longSentences(passages(file)).map((sentence) => ({ file, ...sentence })));
console.log(`sentences of over 30 words: ${long.length}`);
for (const { file, line, words, text } of longest(long, (each) => each.words))
  console.log(`  ${words} ${file}:${line} ${text.slice(0, 60)}`);
