import { Command, Option } from "commander";
import { describe, expect, it } from "vitest";
import { completionOf } from "../../../src/ext/completion/candidates.js";

const program = new Command("nexusd");
const provider = new Command("provider").description("providers");
provider
  .addCommand(
    new Command("add")
      .description("add one")
      .argument("[template]")
      .option("--client-id <text>", "the id")
      .option("--scope <text>", "a scope; can be given again")
      .option("--client-secret-file <file>", "the secret")
      .addOption(new Option("--auth-method <word>", "how").choices(["none", "post"])),
  )
  .addCommand(new Command("get").argument("<provider>"));
program
  .addCommand(provider)
  .addCommand(new Command("connections").alias("connection").argument("[connections...]"))
  .addCommand(new Command("exec").argument("<command...>").option("--env <name=connection>", "a variable"))
  .addCommand(new Command("restore").argument("<file>"))
  .addCommand(
    new Command("keys")
      .option("--connection <connection>", "restrict")
      .option("--provider <name>", "restrict"),
  )
  .addCommand(new Command("complete"), { hidden: true });

function found(...words: string[]): readonly string[] | string {
  const completion = completionOf(program, words);
  return completion.kind === "words" ? completion.words.map(({ word }) => word) : completion.kind;
}

describe("the words at the cursor", () => {
  it.each([
    [[""], ["provider", "connections", "exec", "restore", "keys", "help"]],
    [["prov"], ["provider", "connections", "exec", "restore", "keys", "help"]],
    [
      ["provider", ""],
      ["add", "get", "help"],
    ],
    [["provider", "add", "gi"], "templates"],
    [["provider", "add", "--client-id", "x", "gi"], "templates"],
    [
      ["provider", "add", "--auth-method", ""],
      ["none", "post"],
    ],
    [["provider", "add", "--client-secret-file", "se"], "files"],
    [["provider", "add", "--client-id", ""], []],
    [["provider", "add", "github", ""], []],
    [["provider", "get", ""], "providers"],
    [["connection", "a"], "connections"],
    [["connections", "one", "an"], "connections"],
    [["restore", "./"], "files"],
    [["keys", "--connection", ""], "connections"],
    [["keys", "--provider", ""], "providers"],
    [["no-such-command", ""], []],
  ])("%j", (words, expected) => {
    expect(found(...words)).toEqual(expected);
  });

  it("are flags after a dash, each once unless it can be given again", () => {
    expect(found("provider", "add", "--scope", "a", "--client-id", "x", "--")).toEqual([
      "--scope",
      "--client-secret-file",
      "--auth-method",
      "--help",
    ]);
  });

  it("are none of ours after --", () => {
    expect(found("exec", "--env", "A=b", "--", "gh", "--")).toEqual([]);
  });
});
