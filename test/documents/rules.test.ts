import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { run } from "../../src/cli/program.js";
import { functions } from "../../src/ext/policy/condition_functions.js";
import { factKinds } from "../../src/model/access/request_facts.js";
import { fakeShell } from "../cli/fake_shell.js";
import { type VendorMethod, vendorMethods } from "../model/access/vendor_methods.js";
import { temporaryFolder } from "../temporary_folder.js";

const page = readFileSync("docs/rules.md", "utf8");

const casesOf = parse(readFileSync("test/documents/cookbook.yaml", "utf8")) as Readonly<
  Record<string, unknown>
>;

/** The rules of each recipe, with its cases of `cookbook.yaml`. */
const recipes = page
  .slice(page.indexOf("## Cookbook"))
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const title = text.slice(0, text.indexOf("\n"));
    const [, rules = ""] = /```yaml\n(rules:.*?)```/s.exec(text) ?? [];
    return { title, rules, cases: casesOf[title] };
  });

describe("the cookbook of docs/rules.md", () => {
  it("has seven recipes, and cases of each", () => {
    expect(recipes.length).toBe(7);
    expect(recipes.map(({ title }) => title)).toEqual(Object.keys(casesOf));
  });

  it.each(recipes)("$title: every case comes out as it says", async ({ rules, cases }) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "policy.yaml"), rules);
    writeFileSync(join(folder, "cases.yaml"), JSON.stringify({ policy: "policy.yaml", cases }));
    const shell = fakeShell();
    const code = await run(["policy", "test", join(folder, "cases.yaml")], shell);
    expect(`${shell.out()}${shell.err()}`).toMatch(/^(\d+) of \1 cases come out as expected\n$/);
    expect(code).toBe(0);
  });
});

describe("the recipe Everything except deletion, with the vendors' own lists of methods", () => {
  const { rules = "" } = recipes.find(({ title }) => title === "Everything except deletion") ?? {};
  const methods = vendorMethods();

  const outcomes = async (chosen: readonly VendorMethod[], expect: string): Promise<string> => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "policy.yaml"), rules);
    const cases = chosen.map(({ provider, request }) => ({ provider, request, expect }));
    writeFileSync(join(folder, "cases.yaml"), JSON.stringify({ policy: "policy.yaml", cases }));
    const shell = fakeShell();
    await run(["policy", "test", join(folder, "cases.yaml")], shell);
    return `${shell.out()}${shell.err()}`;
  };

  it("refuses each that deletes", async () => {
    const deleting = methods.filter(({ does }) => does === "deletes");
    expect(await outcomes(deleting, "deny")).toMatch(/^296 of 296 cases come out as expected\n$/);
  });

  it("allows each that reads, and what writes without deleting", async () => {
    // A token for removing, and what takes a message out of the trash.
    const namedSo = /runners\/remove-token$|\/untrash$/;
    const others = methods.filter(({ does, request }) => does !== "deletes" && !namedSo.test(request));
    expect(await outcomes(others, "allow")).toMatch(/^(\d+) of \1 cases come out as expected\n$/);
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
