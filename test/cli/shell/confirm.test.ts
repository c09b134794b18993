import { describe, expect, it } from "vitest";
import { askYes, confirm } from "../../../src/cli/shell/confirm.js";
import { fakeShell } from "../fake_shell.js";

describe("confirm", () => {
  it.each([
    ["yes", undefined],
    ["Y", undefined],
    ["", "nothing was changed"],
    ["no", "nothing was changed"],
    ["yesterday", "nothing was changed"],
  ])("takes %j for an answer", async (answer, refusal) => {
    const shell = fakeShell({ answers: [answer] });
    const confirmed = confirm(shell, "Delete it?", undefined);
    if (refusal === undefined) await expect(confirmed).resolves.toBeUndefined();
    else await expect(confirmed).rejects.toThrow(refusal);
    expect(shell.questions).toEqual([expect.objectContaining({ question: "Delete it? [y/N] " })]);
  });

  it("asks nobody with --yes, and demands it without a terminal", async () => {
    const shell = fakeShell({});
    await confirm(shell, "Delete it?", true);
    await expect(confirm(shell, "Delete it?", undefined)).rejects.toThrow(
      "there is no terminal to confirm at: use --yes",
    );
    expect(shell.questions).toEqual([]);
  });
});

it.each([
  ["", true, true],
  ["", false, false],
  ["n", true, false],
  ["y", false, true],
])("askYes takes %j for yes or no, where empty means %j", async (answer, fallback, expected) => {
  const shell = fakeShell({ answers: [answer] });
  expect(await askYes(shell, "Connect now?", fallback)).toBe(expected);
});
