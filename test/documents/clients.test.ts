import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findLibraries } from "../clients/manifests.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/clients.md"), "utf8");

/** Blocks of a document with that info string. */
function blocksOf(text: string, info: string): string[] {
  const blocks = text.matchAll(new RegExp(`^\`\`\`${info}\\n([\\s\\S]*?)^\`\`\`$`, "gm"));
  return [...blocks].map(([, block = ""]) => block);
}

describe("docs/clients.md", () => {
  // `npm run test:clients` runs the first block of each README as it stands.
  it.each(findLibraries().map((library) => [library.language, library] as const))(
    "shows the first program of the library for %s",
    (_language, { folder, snippet }) => {
      const [first] = blocksOf(readFileSync(join(folder, "README.md"), "utf8"), snippet.block);
      expect(first).toBeTypeOf("string");
      expect(blocksOf(page, snippet.block)).toEqual([first]);
    },
  );

  it("shows nothing that is not run", () => {
    const known = findLibraries().map(({ snippet }) => snippet.block);
    const infos = [...page.matchAll(/^```(\w+)\n/gm)].map(([, info]) => info);
    expect(infos.filter((info) => !known.includes(info ?? ""))).toEqual([]);
  });
});
