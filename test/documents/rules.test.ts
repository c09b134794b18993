import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { factKinds } from "../../src/model/access/request_facts.js";
import { functions } from "../../src/policy/condition_functions.js";

const page = readFileSync("docs/rules.md", "utf8");

describe("docs/rules.md", () => {
  it("has a row for each function, as it is compiled", () => {
    const rows = page.match(/^\| `\w+\(.*\)` \|.*\|$/gm);
    expect(rows).toEqual(
      Object.entries(functions).map(
        ([name, { on, takes, gives, says }]) =>
          `| \`${name}(${takes.join(", ")})\` | ${on} | ${gives}: ${says} |`,
      ),
    );
  });

  it("names each fact", () => {
    for (const name of Object.keys(factKinds)) expect(page).toContain(`\`${name}\``);
  });
});
