import { expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { fakeShell } from "../../cli/fake_shell.js";

it("nexusd providers points at the neighbor that has the word", async () => {
  const shell = fakeShell();
  expect(await run(["providers", "list"], shell)).toBe(2);
  expect(shell.err()).toContain(
    "nexusd: unknown command 'list': there are plan, apply, export; did you mean nexusd provider list?",
  );
});

it("nexusd providers plan FILE names the flag that takes it", async () => {
  const shell = fakeShell();
  expect(await run(["providers", "plan", "x.yaml"], shell)).toBe(2);
  expect(shell.err()).toContain(
    "nexusd: too many arguments for 'plan'. Expected 0 arguments but got 1.\ngive the file by --file",
  );
});
