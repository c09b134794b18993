import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** Pages for who changes nexusd. */
const forContributors = ["architecture.md", "catalogue.md", "dependencies.md", "records.md", "traps.md"];

/** What a user reads, README first. */
export const documents = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md") && !forContributors.includes(name))
    .map((name) => `docs/${name}`),
];

/** A command as it stands in a document. */
export interface Command {
  readonly document: string;
  /** The block that it stands in, counted from 1. */
  readonly block: number;
  readonly line: number;
  /** Without the comment behind it; it may have several lines. */
  readonly text: string;
}

/** The commands of all blocks of shell, in their order. A script (`#!`) and a loop are one command each. */
export function commandsOf(document: string): Command[] {
  const lines = readFileSync(join(root, document), "utf8").split("\n");
  const commands: Command[] = [];
  let open = false;
  let block: { line: number; text: string }[] = [];
  let count = 0;
  for (const [index, raw] of lines.entries()) {
    if (!/^\s*```/.test(raw)) {
      if (open) block.push({ line: index + 1, text: raw });
    } else if (open) {
      commands.push(...split(block).map((command) => ({ document, block: count, ...command })));
      open = false;
    } else {
      open = /^\s*```(?:sh|bash)\s*$/.test(raw);
      block = [];
      count += 1;
    }
  }
  return commands;
}

function split(block: readonly { line: number; text: string }[]): { line: number; text: string }[] {
  const indent = Math.min(...block.filter(({ text }) => text.trim()).map(({ text }) => text.search(/\S/)));
  const lines = block.map(({ line, text }) => ({ line, text: text.slice(indent) }));
  const isWhole = lines.some(({ text }) => /^(?:#!|while |for |if )/.test(text));
  if (isWhole) return [{ line: lines[0]?.line ?? 0, text: lines.map(({ text }) => text).join("\n") }];
  const commands: { line: number; text: string }[] = [];
  let goesOn = false;
  for (const { line, text } of lines) {
    const bare = withoutComment(text);
    const last = commands.at(-1);
    if (goesOn && last) commands[commands.length - 1] = { ...last, text: `${last.text}\n${bare}` };
    else if (bare !== "") commands.push({ line, text: bare });
    goesOn = bare.endsWith("\\");
  }
  return commands;
}

function withoutComment(text: string): string {
  return text.replace(/^#.*$|\s+# .*$/, "").trimEnd();
}

/** `nexusd ...` between backticks in the text of a document: named in passing, with words in capitals for what a reader fills in. */
export function mentionsOf(document: string): Omit<Command, "block">[] {
  const text = readFileSync(join(root, document), "utf8").replace(/^\s*```[\s\S]*?^\s*```$/gm, (block) =>
    block.replace(/[^\n]/g, ""),
  );
  return [...text.matchAll(/`(nexusd [a-z][^`]*)`/g)].map((match) => ({
    document,
    line: text.slice(0, match.index).split("\n").length,
    text: (match[1] ?? "").replace(/\s+/g, " "),
  }));
}

/** A file that a document shows: the block of YAML that begins so. */
export function fileOf(document: string, beginning: string): string {
  const text = readFileSync(join(root, document), "utf8");
  const found = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].find(([, yaml]) =>
    yaml?.startsWith(beginning),
  );
  if (found?.[1] === undefined) throw new Error(`${document} shows no file that begins with ${beginning}`);
  return found[1];
}
