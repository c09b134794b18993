import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { functions } from "../../src/ext/policy/condition_functions.js";
import { factKinds } from "../../src/model/access/request_facts.js";
import { fakeShell } from "../cli/fake_shell.js";
import { temporaryFolder } from "../temporary_folder.js";

const page = readFileSync("docs/rules.md", "utf8");

/** Each recipe with the rules and the cases that stand below its heading. */
const recipes = page
  .slice(page.indexOf("## Cookbook"))
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [, rules = "", cases = ""] = /```yaml\n(rules:.*?)```\n+```yaml\n(cases:.*?)```/s.exec(text) ?? [];
    return { title: text.slice(0, text.indexOf("\n")), rules, cases };
  });

describe("the cookbook of docs/rules.md", () => {
  it("has thirteen recipes", () => expect(recipes.length).toBe(13));

  it.each(recipes)("$title: every case comes out as it says", async ({ rules, cases }) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "policy.yaml"), rules);
    writeFileSync(join(folder, "cases.yaml"), `policy: policy.yaml\n${cases}`);
    const shell = fakeShell();
    const code = await run(["policy", "test", join(folder, "cases.yaml")], shell);
    expect(`${shell.out()}${shell.err()}`).toMatch(/^(\d+) of \1 cases come out as expected\n$/);
    expect(code).toBe(0);
  });
});

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
