import { describe, expect, it } from "vitest";
import { LivePanel } from "../../../src/cli/terminal/screen.js";

function panelOf(rows?: number) {
  const written: string[] = [];
  const panel = new LivePanel({ rows, write: (text) => void written.push(text) });
  return { panel, written };
}

describe("a live panel", () => {
  it("stands below the lines that stay, and is drawn over itself", () => {
    const { panel, written } = panelOf(24);
    panel.draw(["first\n"], ["a", "b"]);
    panel.draw(["second\n"], ["c"]);
    panel.draw([], ["d"]);
    expect(written).toEqual(["first\na\nb\n", "\x1b[2A\x1b[0Jsecond\nc\n", "\x1b[1A\x1b[0Jd\n"]);
  });

  it("is never higher than the terminal", () => {
    const { panel, written } = panelOf(4);
    panel.draw([], ["a", "b", "c", "d", "e"]);
    panel.draw([], []);
    expect(written).toEqual(["a\nb\nand 3 more\n", "\x1b[3A\x1b[0J"]);
  });
});
