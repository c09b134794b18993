import { expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { fakeShell } from "../cli/fake_shell.js";
import { documents, mentionsOf } from "../walk/documents.js";

/** What a user types between words in capitals. Those of the blocks are typed by the walk (`npm run test:walk`). */
it.each(documents)("%s names commands and flags that there are", async (document) => {
  const wrong: string[] = [];
  for (const { text, line } of mentionsOf(document)) {
    const [, ...words] = text.split(" -- ")[0]?.split(" ") ?? [];
    const path = words.slice(0, words.findIndex((word) => !/^[a-z][a-z-]+$/.test(word)) >>> 0);
    const shell = fakeShell({ columns: 200 });
    const code = await run([...path, "--help"], shell);
    const flags = words.flatMap((word) => /^--[a-z-]+/.exec(word) ?? []);
    const unknown = flags.filter((flag) => !new RegExp(`${flag}(?![a-z-])`).test(shell.out()));
    const isThere = code === 0 && shell.out().match(new RegExp(`^Usage: nexusd ${path[0]}[ |]`)) !== null;
    if (!isThere || unknown.length > 0)
      wrong.push(`${document}:${line} ${text}: ${unknown.join(" ")}${shell.err()}`);
  }
  expect(wrong).toEqual([]);
});
