import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { needs } from "../../needs.js";
import { ToolWorld } from "../tools/tool_world.js";
import { TerminalProgram } from "./terminal_program.js";

describe("first use", () => {
  let world: ToolWorld;
  beforeAll(async () => {
    world = await ToolWorld.make();
  });
  afterAll(() => world.close());
  beforeEach((context) => needs(context, "script"));

  describe("the first provider, at a terminal", () => {
    it("is found as one types, and its key is entered at once, unseen", async () => {
      const terminal = TerminalProgram.start(world, "stty cols 100 rows 40; nexusd provider add");
      await terminal.shows("Type to search:");
      terminal.type("deepse");
      await terminal.shows("deepseek");
      terminal.type("\r");
      await terminal.answer("Enter the key now? [Y/n]", "");
      await terminal.answer("API key:", "sk-typed-secret");
      const { code, stdout } = await terminal.ended;
      expect(code).toBe(0);
      expect(stdout).toContain("Connected to deepseek");
      expect(stdout).not.toContain("sk-typed-secret");
      expect((await world.command(["token", "deepseek"])).stdout).toBe("sk-typed-secret\n");
    });

    it("is a client of OAuth: id, secret and scopes are asked for", async () => {
      const terminal = TerminalProgram.start(world, "nexusd provider add github");
      const said = await terminal.shows("Client id:");
      const { NEXUS_PUBLIC_URL: publicUrl } = world.scripted.place.environment;
      expect(said).toContain(`redirect URI   ${publicUrl}/auth/callback/github\r\n`);
      terminal.type("Iv1.abc\r");
      await terminal.answer("Client secret", "typed-client-secret");
      await terminal.answer("Scopes [none]:", "read:user gist");
      await terminal.answer("Connect now? [Y/n]", "n");
      const { code, stdout } = await terminal.ended;
      expect([code, stdout.includes("typed-client-secret")]).toEqual([0, false]);
      const { provider } = await world.scripted.clients.providers.getProvider({
        key: { case: "name", value: "github" },
      });
      expect(provider).toMatchObject({
        clientId: "Iv1.abc",
        clientSecretSet: true,
        scopes: ["read:user", "gist"],
        template: "github",
      });
    });

    it("is not registered when the person presses Ctrl-C", async () => {
      const terminal = TerminalProgram.start(world, "stty cols 100 rows 40; nexusd provider add");
      await terminal.shows("Type to search:");
      terminal.type("slack\x03");
      const { code, stdout } = await terminal.ended;
      expect(code).toBe(1);
      expect(stdout).toContain("nothing was added");
      expect((await world.command(["provider", "list"])).stdout).not.toContain("slack");
    });
  });

  describe("the key of a static provider", () => {
    it("is made by flags and entered by connect; one that is refused is asked for again", async () => {
      const made = await world.command([
        ...["provider", "add", "acme", "--auth-type", "api_key", "--header-name", "X-Acme"],
        ...["--value-prefix", "Key "],
      ]);
      expect([made.code, made.stderr]).toEqual([0, ""]);
      const terminal = TerminalProgram.start(world, "nexusd connect acme --label work");
      await terminal.answer("API key:", "not a k\u00e9y");
      await terminal.shows("credentials.api_key");
      await terminal.shows("Enter it again:");
      await terminal.answer("API key:", "acme-secret");
      expect((await terminal.ended).code).toBe(0);
      const { stdout } = await world.command(["token", `acme/${world.user}/work`, "--format", "header"]);
      expect(stdout).toBe("X-Acme: Key acme-secret\n");
    });
  });

  describe("connect --paste", () => {
    let name: string;
    let count = 0;
    beforeEach(async () => {
      name = `far-${++count}`;
      await world.scripted.register({ name });
      world.scripted.decision = "allow";
    });

    /** The person's browser on another machine: it reaches the provider, and not the daemon. */
    const consentElsewhere = async (shown: string): Promise<string> => {
      const [address] = /http:\S+\/authorize\?\S+/.exec(shown) ?? [];
      const answer = await fetch(address ?? "", { redirect: "manual" });
      return answer.headers.get("location") ?? "";
    };

    it("takes the address that a browser elsewhere could not open", async () => {
      const terminal = TerminalProgram.start(world, `nexusd connect ${name} --paste`);
      const address = await consentElsewhere(await terminal.shows("Paste it here"));
      expect(address).toContain("code=");
      terminal.type("what is this?\r");
      await terminal.shows("That is no address");
      await terminal.answer("Paste it here", address.replace(/state=[^&]+/, "state=of-another"));
      await terminal.shows("the answer to another link");
      await terminal.answer("Paste it here", address);
      const { code, stdout } = await terminal.ended;
      expect(code).toBe(0);
      expect(stdout).toContain(`Connected to ${name}`);
      expect(stdout).not.toContain(new URL(address).searchParams.get("code"));
      expect((await world.command(["token", name])).stdout).toMatch(/^access-\d+-secret\n$/);
    });

    it("says that the person denied", async () => {
      world.scripted.decision = "deny";
      const terminal = TerminalProgram.start(world, `nexusd connect ${name} --paste`);
      terminal.type(`${await consentElsewhere(await terminal.shows("Paste it here"))}\r`);
      const { code, stdout } = await terminal.ended;
      expect(code).toBe(21);
      expect(stdout).toContain("not connected: ");
    });

    it("does not open the answer without the cookie of its own start", async () => {
      const terminal = TerminalProgram.start(world, `nexusd connect ${name} --paste`);
      const address = await consentElsewhere(await terminal.shows("Paste it here"));
      const stranger = await fetch(address, { redirect: "manual" });
      expect(stranger.status).toBe(400);
      terminal.type(`${address}\r`);
      expect((await terminal.ended).code).toBe(21);
    });

    it.each([["https://nexus.example", "reaches the daemon"]])(
      "is refused where the browser reaches the daemon: %s",
      async (publicUrl, text) => {
        const far = await ToolWorld.make({ NEXUS_PUBLIC_URL: publicUrl });
        try {
          await far.scripted.register({ name: "far" });
          const terminal = TerminalProgram.start(far, "nexusd connect far --paste");
          const { code, stdout } = await terminal.ended;
          expect(code).toBe(2);
          expect(stdout).toContain(text);
        } finally {
          await far.close();
        }
      },
    );
  });
});

describe("completion", () => {
  let world: ToolWorld;
  beforeAll(async () => {
    world = await ToolWorld.make();
    await world.connect("github");
    await world.scripted.register({ name: "gitlab" });
  });
  afterAll(() => world.close());

  /** As a person has typed it, the cursor at the end. */
  const lines: [line: string, words: string[]][] = [
    ["nexusd conn", ["connect", "connections"]],
    ["nexusd provider up", ["update"]],
    ["nexusd provider show gi", ["github", "gitlab"]],
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
      const { code, stdout, stderr } = await world.nexusd(["complete", "--", "provider", "show", ""], {
        env,
      });
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
});
