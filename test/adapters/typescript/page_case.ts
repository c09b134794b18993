import assert from "node:assert/strict";
import { act } from "./act.js";

/** The first program of a page of docs/frameworks, as it stands: the network and the terminal are the test's. */
export async function playPage(run: () => Promise<unknown>): Promise<void> {
  await act("register", { name: "github" });
  const { fetch } = globalThis;
  const { log } = console;
  const [asked, lines]: [(string | null)[], string[]] = [[], []];
  globalThis.fetch = async (input, init) => {
    if (String(input) !== "https://api.github.com/user/repos") return await fetch(input, init);
    asked.push(new Headers(init?.headers).get("authorization"));
    return new Response("nexusd");
  };
  console.log = (line: string) => {
    lines.push(line);
    const url = /^To connect github, ada must open (http\S+)$/.exec(line)?.[1];
    return url === undefined ? undefined : act("consent", { url });
  };
  try {
    await run();
  } finally {
    Object.assign(globalThis, { fetch });
    console.log = log;
  }
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? "", /^Bearer ./);
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? "", /^To connect/);
}
