import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filesBelow, root } from "../tree.js";
import { faultsOf, markdownPassages, protoPassages, sourcePassages } from "./prose.js";

const read = (name: string): string => readFileSync(join(root, name), "utf8");

const files = filesBelow("").filter((name) => /\.md$|^proto\/nexus\/.*\.proto$|^src\/.*\.tsx?$/.test(name));

function passagesOf(name: string) {
  if (name.endsWith(".md")) return markdownPassages(read(name));
  return name.endsWith(".proto") ? protoPassages(read(name)) : sourcePassages(name, read(name));
}

describe("the prose of documents, protos, comments, help, and errors", () => {
  it("keeps the rules in every file", () => {
    const faults = files.flatMap((name) => faultsOf(passagesOf(name)).map((fault) => `${name}:${fault}`));
    expect(faults).toEqual([]);
  });
});

describe("the rules of prose", () => {
  const of = (text: string): string[] => faultsOf(markdownPassages(text));
  const words = (count: number): string => `A${" word".repeat(count - 1)}`;

  it("allows 30 words in a sentence", () => {
    expect(of(`${words(30)}. ${words(30)}.`)).toEqual([]);
    expect(of(`Fine.\n\n${words(15)}\n${words(16)}.`)).toEqual([expect.stringMatching(/^3: 31 words/)]);
  });

  it("reads each item and cell by itself, and no code", () => {
    expect(of(`- ${words(20)}\n- ${words(20)}\n\n| ${words(20)} | ${words(20)} |`)).toEqual([]);
    expect(of("`told` and\n\n```sh\nwhoever\n```\n")).toEqual([]);
  });

  it("finds words of a dialect", () => {
    expect(of("An agent is told.")).toEqual([expect.stringContaining('"told"')]);
    expect(of("# Whoever")).toEqual([expect.stringContaining('"Whoever"')]);
    expect(of("A code in place of the link.")).toEqual([expect.stringContaining("use instead of")]);
  });

  it("wants headings that a reader searches for", () => {
    expect(of("## More")).toHaveLength(1);
    expect(of("## What happens when")).toHaveLength(1);
    expect(of("## Rotate the key")).toEqual([]);
  });

  it("reads the texts of pages", () => {
    const page = "export const page = <p>The user is told what to do.</p>;";
    expect(faultsOf(sourcePassages("page.tsx", page))).toEqual([expect.stringContaining('"told"')]);
  });

  it("holds comments to 30 words a sentence, which a tag, an item and a paragraph end", () => {
    const faults = (comment: string): string[] => faultsOf(sourcePassages("a.ts", comment));
    expect(faults(`/** ${words(31)} */`)).toEqual([expect.stringMatching(/^1: 31 words/)]);
    expect(faults(`// ${words(16)}\n// ${words(15)}`)).toEqual([expect.stringMatching(/^1: 31 words/)]);
    expect(faults(`/** ${words(20)} @param a ${words(20)} */`)).toEqual([]);
    expect(faults(`/**\n * ${words(20)}\n *\n * - ${words(20)}\n * - ${words(20)}\n */`)).toEqual([]);
  });

  it("reads comments of protos, and comments and strings of sources", () => {
    expect(faultsOf(protoPassages(`message A {\n  // It is\n  // told.\n}`))).toEqual([
      expect.stringMatching(/^2:/),
    ]);
    const source =
      'const told = 1;\n/** Is told. */\nconst text = "it is told";\nconst other = `it is told`;';
    expect(faultsOf(sourcePassages("a.ts", source)).map((fault) => fault.slice(0, 2))).toEqual([
      "2:",
      "3:",
      "4:",
    ]);
  });
});
