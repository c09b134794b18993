import { describe, expect, it } from "vitest";
import {
  type Key,
  pressed,
  type SearchState,
  search,
  searchLines,
  searchStart,
  selectedItem,
} from "../../../src/cli/terminal/search_prompt.js";

const names = ["github", "gitlab", "google", ...Array.from({ length: 20 }, (_, index) => `other-${index}`)];
const prompt = {
  question: "Which?",
  find: (query: string) => names.filter((name) => name.includes(query)),
  lineOf: (name: string) => name,
};
const named = (name: string, ctrl = false): Key => ({ text: "", name, ctrl });
const typed = (text: string): Key[] => [...text].map((each) => ({ text: each, name: each, ctrl: false }));
const afterKeys = (...keys: Key[]): SearchState =>
  keys.reduce((state, key) => pressed(prompt, state, key), searchStart);

describe("a search", () => {
  it.each([
    ["typing narrows it", typed("git"), "github"],
    ["an arrow goes to the next", [...typed("git"), named("down")], "gitlab"],
    ["and stops at the last", [...typed("git"), named("down"), named("down"), named("down")], "gitlab"],
    ["and back, not before the first", [...typed("git"), named("down"), named("up"), named("up")], "github"],
    ["typing goes to the first again", [...typed("g"), named("down"), ...typed("i")], "github"],
    ["backspace widens it", [...typed("goo"), named("backspace"), named("backspace")], "github"],
    ["Ctrl-U begins anew", [...typed("goo"), named("u", true)], "github"],
    [
      "keys without a text change nothing",
      [...typed("goo"), named("f5"), { text: "\x01", name: "a", ctrl: true }],
      "google",
    ],
  ] as const)("%s", (_name, keys, item) => {
    expect(selectedItem(prompt, afterKeys(...keys))).toBe(item);
  });

  it.each([
    [[...typed("goo"), named("return")], "chosen"],
    [[...typed("nothing like it"), named("return")], undefined],
    [[named("c", true)], "cancelled"],
    [[named("d", true)], "cancelled"],
    [[named("escape")], "cancelled"],
  ])("ends %#", (keys, end) => {
    expect(afterKeys(...keys).end).toBe(end);
  });

  it("shows eight choices, the selected one among them, and how many more there are", () => {
    const down = Array.from({ length: 10 }, () => named("down"));
    const lines = searchLines(prompt, afterKeys(...down), 80);
    expect(lines).toHaveLength(10);
    expect(lines[8]).toBe("> other-7");
    expect(lines[9]).toBe("  15 more: type, or use the arrow keys");
  });

  it("says when nothing is called so, and keeps within the terminal", () => {
    expect(searchLines(prompt, afterKeys(...typed("xyz")), 80)).toEqual([
      "Which? xyz",
      "  none is called so",
    ]);
    expect(searchLines(prompt, afterKeys(...typed("git")), 8)).toEqual(["Which? ", "> githu", "  gitla"]);
  });

  it("draws over what it drew, and leaves one line", async () => {
    const keys = [...typed("gitl"), named("return")];
    let written = "";
    const item = await search(
      {
        stdin: {
          readKeys: async (onKey, onReady) => {
            onReady();
            for (const key of keys) if (onKey(key) === "end") return;
          },
        },
        stderr: { columns: 40, write: (text) => (written += text) },
      },
      prompt,
    );
    expect(item).toBe("gitlab");
    expect(written.endsWith("\x1b[1A\r\x1b[0JWhich? gitlab\r\n")).toBe(true);
  });
});
