import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { needs } from "../../needs.js";
import { ToolWorld } from "../tools/tool_world.js";
import { TerminalProgram } from "./terminal_program.js";

let world: ToolWorld;
beforeAll(async () => {
  world = await ToolWorld.make();
  await world.connect("github");
  await world.scripted.register({ name: "gitlab" });
});
afterAll(() => world.close());

/** As a person has typed it, the cursor at the end. */
const lines: [line: string, words: string[]][] = [
  ["nexusd prov", ["provider", "providers"]],
  ["nexusd provider up", ["update"]],
  ["nexusd provider get gi", ["github", "gitlab"]],
  ["nexusd provider add github --auth-m", ["--auth-method"]],
  ["nexusd provider add github-p", ["github-pat"]],
  ["nexusd keys create ci --role op", ["operator"]],
  ["nexusd serve --browser-l", ["--browser-listen"]],
  ["nexusd completion ba", ["bash"]],
  ["nexusd nothing ", []],
];

/** Names are left out when the daemon does not tell them within a second: a person presses Tab again. */
const givesAtLast = (completed: () => Promise<string[]>, words: readonly string[]) =>
  expect.poll(completed, { timeout: 20_000 }).toEqual(words);

describe("nexusd completion bash", () => {
  beforeEach((context) => needs(context, "bash"));

  const completed = async (line: string): Promise<string[]> => {
    const script = `eval "$(nexusd completion bash)"
COMP_LINE=$1 COMP_POINT=\${#1}
read -ra COMP_WORDS <<<"$1"
compopt() { echo "files"; }
_nexusd
printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await world.run("bash", ["--norc", "-c", script, "bash", line]);
    expect(stderr).toBe("");
    return stdout.split("\n").filter((word) => word !== "");
  };

  const completes = (line: string, words: readonly string[]) => givesAtLast(() => completed(line), words);

  it.each(lines)("%s", async (line, words) => {
    await completes(line, words);
  });

  it("completes a path where a file is meant", async () => {
    expect(await completed("nexusd restore ./")).toEqual(["files"]);
  });

  it("completes names that hold what bash splits at", async () => {
    const providerId = await world.scripted.register({ name: "slack" });
    await world.scripted.connect(providerId, { user_id: "ada@example.com" });
    await completes("nexusd token slack/ada@ex", ["example.com"]);
    await completes("nexusd token slack/", ["slack/ada@example.com"]);
  });

  it("says nothing when the daemon is away", async () => {
    const env = { NEXUS_DATA_DIR: join(world.home, "nowhere") };
    const { code, stdout, stderr } = await world.nexusd(["complete", "--", "provider", "get", ""], { env });
    expect([code, stdout, stderr]).toEqual([0, "", ""]);
  });

  it("works at a terminal, by Tab", async (context) => {
    needs(context, "script");
    writeFileSync(join(world.home, "rc"), 'eval "$(nexusd completion bash)"\nPS1="ready> "\n');
    const terminal = TerminalProgram.start(world, "bash --rcfile rc -i");
    await terminal.shows("ready> ");
    terminal.type("nexusd whoa\t");
    await terminal.shows("whoami ");
    terminal.type("\r");
    await terminal.shows("owner");
    terminal.type("exit\r");
    await terminal.ended;
  });
});

describe("nexusd completion fish", () => {
  beforeEach((context) => needs(context, "fish"));

  it.each(lines)("%s", async (line, words) => {
    const script = `nexusd completion fish | source; complete -C "${line}"`;
    const completed = async () => {
      const { stdout } = await world.run("fish", ["--no-config", "-c", script]);
      const found = stdout.split("\n").filter((each) => each !== "");
      return found.map((each) => each.split("\t")[0] ?? "");
    };
    await givesAtLast(completed, words);
  });
});

describe("nexusd completion zsh", () => {
  beforeEach((context) => needs(context, "zsh"));

  it("works at a terminal, by Tab", async (context) => {
    needs(context, "script");
    writeFileSync(
      join(world.home, ".zshrc"),
      'autoload -Uz compinit && compinit -u\neval "$(nexusd completion zsh)"\nPS1="ready> "\n',
    );
    const terminal = TerminalProgram.start(world, "zsh -i", { ZDOTDIR: world.home });
    await terminal.shows("ready> ");
    terminal.type("nexusd whoa\t");
    await terminal.shows("whoami");
    terminal.type("\r");
    await terminal.shows("owner");
    terminal.type("exit\r");
    await terminal.ended;
  });
});
