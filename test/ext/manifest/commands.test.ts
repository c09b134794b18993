import { expect, it } from "vitest";
import { ended, fakeShell } from "../../cli/fake_shell.js";

it.each(["plan", "apply", "export"])("nexusd providers %s points at nexusd manifest", async (verb) => {
  const shell = await ended(2, ["providers", verb], fakeShell());
  expect(shell.err()).toContain(
    `nexusd: unknown command 'providers': did you mean nexusd manifest ${verb}?\n`,
  );
});

it("nexusd manifest plan FILE names the flag that takes it", async () => {
  const shell = await ended(2, ["manifest", "plan", "x.yaml"], fakeShell());
  expect(shell.err()).toContain(
    "nexusd: too many arguments for 'plan'. Expected 0 arguments but got 1.\ngive the file by --file",
  );
});
