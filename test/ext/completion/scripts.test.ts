import { expect, it } from "vitest";
import { scripts } from "../../../src/ext/completion/scripts.js";

it.each(Object.entries(scripts))("%s runs nothing that a name or the command line holds", (_, script) => {
  expect(script).not.toMatch(/\beval\b|compgen -W/);
});
