import { expect, it } from "vitest";
import { longSentences, markdownPassages, protoPassages, sourcePassages } from "./prose.js";

const words = (count: number): string => `A${" word".repeat(count - 1)}`;
const found = (passages: Parameters<typeof longSentences>[0]): [line: number, words: number][] =>
  longSentences(passages).map((sentence) => [sentence.line, sentence.words]);

it("finds sentences of over 30 words in Markdown", () => {
  expect(found(markdownPassages(`${words(30)}. ${words(30)}.`))).toEqual([]);
  expect(found(markdownPassages(`Fine.\n\n${words(15)}\n${words(16)}.`))).toEqual([[3, 31]]);
});

it("reads each item and cell by itself, and no code", () => {
  const text = `- ${words(20)}\n- ${words(20)}\n\n| ${words(20)} | ${words(20)} |\n\n\`\`\`sh\n${words(40)}\n\`\`\``;
  expect(found(markdownPassages(text))).toEqual([]);
});

it("reads comments, which a tag, an item and a paragraph end, and strings", () => {
  const inSource = (text: string) => found(sourcePassages("a.ts", text));
  expect(inSource(`/** ${words(31)} */`)).toEqual([[1, 31]]);
  expect(inSource(`// ${words(16)}\n// ${words(15)}`)).toEqual([[1, 31]]);
  expect(inSource(`/** ${words(20)} @param a ${words(20)} */`)).toEqual([]);
  expect(inSource(`/**\n * ${words(20)}\n *\n * - ${words(20)}\n * - ${words(20)}\n */`)).toEqual([]);
  expect(inSource(`\nconst text = "${words(31)}";`)).toEqual([[2, 31]]);
  expect(found(sourcePassages("page.tsx", `export const page = <p>${words(31)}</p>;`))).toEqual([[1, 31]]);
});

it("reads the comments of protos", () => {
  expect(found(protoPassages(`message A {\n  // ${words(31)}\n}`))).toEqual([[2, 31]]);
});
