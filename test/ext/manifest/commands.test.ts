import { expect, it } from "vitest";
import { ended, fakeShell } from "../../cli/fake_shell.js";

it("nexusd providers points at the neighbor that has the word", async () => {
  const shell = await ended(2, ["providers", "list"], fakeShell());
  expect(shell.err()).toContain(
    "nexusd: unknown command 'list': there are plan, apply, export; did you mean nexusd provider list?",
  );
});

it("nexusd providers plan FILE names the flag that takes it", async () => {
  const shell = await ended(2, ["providers", "plan", "x.yaml"], fakeShell());
  expect(shell.err()).toContain(
    "nexusd: too many arguments for 'plan'. Expected 0 arguments but got 1.\ngive the file by --file",
  );
});
