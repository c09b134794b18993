import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRegistry } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.js";
import { extensions } from "../../src/ext/extensions.js";
import { services } from "../../src/gen/nexus/v1/services.js";
import { fakeShell } from "../cli/fake_shell.js";

const page = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
const [, table = ""] = /^### JSON output\n([\s\S]*?)^### /m.exec(page) ?? [];
const rows = [...table.matchAll(/^\| `nexusd (.*)` \| (.*) \|$/gm)].map(([, first = "", prints = ""]) => {
  const [group = "", ...leaf] = (first.split("`, `")[0] ?? "").split(" ");
  const others = first.split("`, `").slice(1);
  return { paths: [[group, ...leaf].join(" "), ...others.map((other) => `${group} ${other}`)], prints };
});

/** Every command that has `--json`. */
const paths = [...commands, ...extensions.flatMap((extension) => extension.commands ?? [])].flatMap(
  ({ name, make }) => {
    const command = make(fakeShell());
    const leaves = command.commands.length === 0 ? [command] : command.commands;
    return leaves
      .filter(({ options }) => options.some(({ long }) => long === "--json"))
      .map((leaf) => (leaf === command ? name : `${name} ${leaf.name()}`));
  },
);

describe("the JSON output of commands", () => {
  it("is said of each command that has --json, and of no other", () => {
    expect(rows.flatMap((row) => row.paths).toSorted()).toEqual(paths.toSorted());
  });

  it("names messages of the API", () => {
    const registry = createRegistry(...services.map(({ file }) => file));
    const named = rows.flatMap(({ prints }) => prints.match(/(?<=`)[A-Z]\w+(?=`)/g) ?? []);
    expect(named.length).toBeGreaterThan(25);
    expect(named.filter((name) => !registry.getMessage(`nexus.v1.${name}`))).toEqual([]);
  });
});
