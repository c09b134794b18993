import { expect, it } from "vitest";
import { ended, fakeShell } from "../../cli/fake_shell.js";

it("without a shell names the shells that it knows", async () => {
  const shell = await ended(2, ["completion"], fakeShell());
  expect(shell.err()).toContain("usage: nexusd completion <bash|zsh|fish>");
});
