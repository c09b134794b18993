// Reads the sentences of documents, proto comments, and sources, so that a report can show the long ones. A reader judges the rest.
import { parseSync } from "oxc-parser";

/** A piece of text, and where it stands. */
export interface Passage {
  readonly line: number;
  readonly text: string;
  readonly kind: "sentence" | "heading";
}

export interface LongSentence {
  readonly line: number;
  readonly words: number;
  readonly text: string;
}

const maxWords = 30;
const sentences = new Intl.Segmenter("en", { granularity: "sentence" });

/** The sentences of over 30 words. */
export function longSentences(passages: readonly Passage[]): LongSentence[] {
  return passages
    .filter(({ kind }) => kind === "sentence")
    .flatMap(({ line, text }) =>
      [...sentences.segment(text)].map(({ segment }) => ({
        line,
        words: wordsOf(segment),
        text: segment.trim(),
      })),
    )
    .filter(({ words }) => words > maxWords);
}

/** Symbols between words count as none. */
function wordsOf(text: string): number {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** Headings, paragraphs, items and cells of a Markdown text, without code. @param upTo a heading at which reading ends */
export function markdownPassages(markdown: string): Passage[] {
  const bare = markdown
    .replaceAll(/^ *(`{3,})[^\n]*\n[\s\S]*?^ *\1`*$|<!--[\s\S]*?-->/gm, (code) =>
      code.replaceAll(/[^\n]/g, ""),
    )
    .replaceAll(/``[^`]+``|`[^`\n]*(?:\n[^`\n]+)?`/g, (code) => `Code${code.replaceAll(/[^\n]/g, "")}`)
    .replaceAll(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/https?:\S+/g, "Link");
  return blocksOf(bare.split("\n"));
}

/** Lines that belong together become one passage. */
function blocksOf(lines: readonly string[], firstLine = 1): Passage[] {
  const passages: Passage[] = [];
  let block: { line: number; text: string } | undefined;
  const end = (): void => {
    if (block) passages.push({ ...block, kind: "sentence" });
    block = undefined;
  };
  for (const [index, raw] of lines.entries()) {
    const line = firstLine + index;
    const text = raw.trim();
    const [, heading] = /^#+ +(.*)$/.exec(text) ?? [];
    if (heading !== undefined || text === "" || text.startsWith("|") || /^([-*+]|\d+\.) /.test(text)) end();
    if (heading !== undefined) passages.push({ line, text: heading, kind: "heading" });
    else if (text.startsWith("|"))
      passages.push(...cellsOf(text).map((cell) => ({ line, text: cell, kind: "sentence" as const })));
    else if (text !== "") block = { line: block?.line ?? line, text: `${block?.text ?? ""} ${text}`.trim() };
  }
  end();
  return passages;
}

function cellsOf(row: string): string[] {
  return row.split(/(?<!\\)\|/).filter((cell) => /[\p{L}\p{N}]/u.test(cell));
}

/** The comments of a proto file. */
export function protoPassages(proto: string): Passage[] {
  const lines = proto.split("\n").map((line) => /^\s*\/\/ ?(.*)$/.exec(line)?.[1] ?? "");
  return markdownPassages(lines.join("\n"));
}

interface Comment {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

/** One comment of lines with `//` that follow each other. */
function withLinesJoined(comments: readonly Comment[], text: string): Comment[] {
  const joined: Comment[] = [];
  for (const comment of comments) {
    const before = joined.at(-1);
    const isNext =
      before?.type === "Line" &&
      comment.type === "Line" &&
      /^\s*$/.test(text.slice(before.end, comment.start));
    if (before && isNext)
      joined.splice(-1, 1, { ...before, end: comment.end, value: `${before.value}\n${comment.value}` });
    else joined.push(comment);
  }
  return joined;
}

/** The comments of a TypeScript file, and its strings of more than one word. */
export function sourcePassages(name: string, text: string): Passage[] {
  const { comments, program } = parseSync(name, text);
  const lineAt = (offset: number): number => text.slice(0, offset).split("\n").length;
  const ofComments = withLinesJoined(comments, text).flatMap(({ start, value }) => {
    const plain = value.replaceAll(/^\s*\*+ ?/gm, "").replaceAll(/`[^`]*`/g, "Code");
    // A tag, a paragraph, and an item end a sentence.
    return plain.split(/(?<!\S)@(?=[a-z])|\n\n|\n\s*- /).map((part) => ({
      ...{ line: lineAt(start), text: part.replaceAll(/\s+/g, " ").trim(), kind: "sentence" as const },
    }));
  });
  const strings: Passage[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const each of node) visit(each);
    else if (typeof node === "object" && node !== null) {
      const { type, value, start, quasis } = node as {
        type?: string;
        value?: unknown;
        start: number;
        quasis?: { value: { cooked: string } }[];
      };
      if ((type === "Literal" || type === "JSXText") && typeof value === "string") add(value, start);
      if (type === "TemplateLiteral")
        add((quasis ?? []).map((quasi) => quasi.value.cooked).join("Value"), start);
      for (const each of Object.values(node)) visit(each);
    }
  };
  const add = (value: string, start: number): void => {
    // Code in another language is not prose.
    if (/\w \w+ \w/.test(value) && !/[{}]|SELECT|INSERT|compdef/.test(value))
      strings.push(
        ...blocksOf(value.split("\n")).map((passage) => ({
          ...passage,
          kind: "sentence" as const,
          line: lineAt(start),
        })),
      );
  };
  visit(program);
  return [...ofComments, ...strings];
}
