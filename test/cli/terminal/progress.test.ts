import { describe, expect, it } from "vitest";
import { withProgress } from "../../../src/cli/terminal/progress.js";
import { fakeShell } from "../fake_shell.js";

const erase = "\r\x1b[2K";

describe("what takes more than a second", () => {
  const terminal = (env: Record<string, string> = {}) => {
    const shell = fakeShell({ env, columns: 30 });
    return { ...shell, stderr: { ...shell.stderr, isTTY: true, columns: 30 } };
  };

  it("has a line at a terminal, which says how far it is, fits, and goes when it is done", async () => {
    const shell = terminal();
    let bytes = 0;
    await withProgress(
      shell,
      () => `make a backup, ${bytes} KiB`,
      async () => {
        shell.clock.advance(900);
        expect(shell.err()).toBe("");
        bytes = 17;
        shell.clock.advance(100);
        expect(shell.err()).toBe(`${erase}make a backup, 17 KiB (1s)`);
        await withProgress(
          shell,
          () => "within it",
          async () => shell.clock.advance(1_000),
        );
        bytes = 17_000_000;
        shell.clock.advance(1_000);
        expect(shell.err()).not.toContain("within it");
        expect(shell.err().endsWith(`${erase}make a backup, 17000000 KiB …`)).toBe(true);
      },
    );
    expect(shell.err().endsWith(erase)).toBe(true);
    const before = shell.err();
    shell.clock.advance(5_000);
    expect(shell.err()).toBe(before);
  });

  it("goes when it fails, too", async () => {
    const shell = terminal();
    const work = async () => {
      shell.clock.advance(1_000);
      throw new Error("the disk is full");
    };
    await expect(withProgress(shell, () => "work", work)).rejects.toThrow("full");
    expect(shell.err()).toBe(`${erase}work (1s)${erase}`);
  });

  it.each([
    ["a pipe", fakeShell()],
    ["a terminal that cannot erase", terminal({ TERM: "dumb" })],
  ])("is silent at %s", async (_what, shell) => {
    await withProgress(
      shell,
      () => "work",
      async () => shell.clock.advance(5_000),
    );
    expect(shell.err()).toBe("");
  });
});
