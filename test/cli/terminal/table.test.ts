import { describe, expect, it } from "vitest";
import { colorOfState, hasColors, plainScreen, screenOf } from "../../../src/cli/terminal/screen.js";
import { layoutTable } from "../../../src/cli/terminal/table.js";

const header = ["ID", "PROVIDER", "SCOPES"];
const rows = [
  ["22222222", "github", "repo user gist read:org write:packages"],
  ["33333333", "a-provider-with-a-long-name", "x"],
];
const widthOf = (text: string): number => Math.max(...text.split("\n").map((line) => line.length));

describe("a table", () => {
  it("is as wide as it comes where nothing limits it", () => {
    expect(layoutTable(header, rows, plainScreen).split("\n")[1]).toBe(
      "22222222  github                       repo user gist read:org write:packages",
    );
  });

  it.each([40, 50, 60, 72])(
    "keeps within %d columns: the widest columns give way, and ids are never marked",
    (columns) => {
      const text = layoutTable(header, rows, { ...plainScreen, columns });
      expect(widthOf(text)).toBeLessThanOrEqual(columns);
      expect(text).toContain("…");
      expect(text).toMatch(/^2{4,8} {2}\w/m);
      expect(text).toMatch(/^3{4,8} {2}\w/m);
    },
  );

  it("shortens ids before it cuts a word, as far as each still names one row", () => {
    const users = ["5f0c1a2e", "5f0c1b77", "9a9a9a9a"].map((id) => [id, "ada.lovelace@example.com"]);
    const at = (columns: number) =>
      layoutTable(["ID", "USER"], users, { ...plainScreen, columns }).split("\n");
    expect(at(34).slice(1, 3)).toEqual([
      "5f0c1a2e  ada.lovelace@example.com",
      "5f0c1b77  ada.lovelace@example.com",
    ]);
    expect(at(33)[1]).toBe("5f0c1a2  ada.lovelace@example.com");
    expect(at(32)[2]).toBe("5f0c1b  ada.lovelace@example.com");
    expect(at(30).slice(1, 4)).toEqual([
      "5f0c1a  ada.lovelace@example.…",
      "5f0c1b  ada.lovelace@example.…",
      "9a9a9a  ada.lovelace@example.…",
    ]);
    const whole = [["58c2bc679901a2b3", "ada.lovelace@example.com"]];
    const held = layoutTable(["ID", "USER"], whole, { ...plainScreen, columns: 30 });
    expect(held).toContain("58c2bc679901a2b3  ada.lovelac…");
    const [, first] = layoutTable(["ID", "USER"], users.slice(1), { ...plainScreen, columns: 30 }).split(
      "\n",
    );
    expect(first).toBe("5f0c  ada.lovelace@example.com");
  });

  it("is longer than the screen rather than without a word", () => {
    const text = layoutTable(header, rows, { ...plainScreen, columns: 10 });
    expect(text).toContain("2222  github    repo …");
  });

  it("lines up whatever is coloured", () => {
    const paint = screenOf({ FORCE_COLOR: "1" }, { isTTY: false }).paint;
    const colored = layoutTable(
      ["STATUS", "X"],
      [
        ["active", "1"],
        ["failed", "2"],
      ],
      { columns: undefined, paint },
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
    expect(colored.replace(/\x1b\[\d+m/g, "")).toBe("STATUS  X\nactive  1\nfailed  2\n");
    expect(colored).toContain("\x1b[31mfailed\x1b[39m");
  });
});

describe("colours", () => {
  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: "1" }, true, false],
    [{ NO_COLOR: "" }, true, true],
    [{ TERM: "dumb" }, true, false],
    [{ FORCE_COLOR: "1" }, false, true],
    [{ FORCE_COLOR: "" }, false, true],
    [{ FORCE_COLOR: "0" }, true, false],
    [{ FORCE_COLOR: "false" }, true, false],
    [{ FORCE_COLOR: "3", NO_COLOR: "1" }, false, true],
  ])("%j, at a terminal: %s", (env, isTTY, has) => {
    expect(hasColors(env, isTTY)).toBe(has);
  });

  it("are those of a state, and of no other word", () => {
    expect(["active", "attention", "revoked", "constructor"].map(colorOfState)).toEqual([
      "green",
      "red",
      "dim",
      undefined,
    ]);
  });
});
