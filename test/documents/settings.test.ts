import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { settingsPage } from "../../scripts/settings_page.js";
import { allSettings } from "../../src/config/settings.js";
import { extensions } from "../../src/ext/extensions.js";

const root = join(import.meta.dirname, "../..");
const read = (name: string): string => readFileSync(join(root, name), "utf8");

/** Variable and flag of each row of the tables in `text`. */
function rowsOf(text: string): string[] {
  const rows = text.matchAll(/^\| `([A-Z][A-Z0-9_]+)`(?:(?:<br>|, )`(--[a-z-]+)`)? +\|/gm);
  return [...rows].map(([, name, flag]) => `${name} ${flag ?? "no flag"}`);
}

const known = allSettings(extensions).map(({ name, flag, isFirst }) => ({
  row: `${name} ${flag ?? "no flag"}`,
  isFirst,
}));
const ten = known.filter(({ isFirst }) => isFirst).map(({ row }) => row);

it("has docs/settings.md as the table says it: the names of the ten first, then every setting by its group", () => {
  const page = read("docs/settings.md");
  expect(page).toBe(settingsPage());
  const [, named = ""] = /^Start with these ten: (.*)\.$/m.exec(page) ?? [];
  expect(named.split(", ")).toEqual(ten.map((row) => `\`${row.split(" ")[0]}\``));
  expect(rowsOf(page)).toEqual(known.map(({ row }) => row));
});

it("names in the README the ten that matter first, with their flags, and no other", () => {
  expect(ten).toHaveLength(10);
  expect(rowsOf(read("README.md")).toSorted()).toEqual(ten.toSorted());
});
