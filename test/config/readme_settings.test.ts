import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { settings } from "../../src/config/settings.js";

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

it("lists every setting in the table of the README, with its flag, and no other", () => {
  const rows = [...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)` +\| +(?:`(--[a-z-]+)` +)?\|/gm)];
  const listed = rows.map(([, name, flag]) => `${name} ${flag ?? "no flag"}`);
  const known = settings.map(({ name, flag }) => `${name} ${flag ?? "no flag"}`);
  expect(listed.toSorted()).toEqual(known.toSorted());
});
