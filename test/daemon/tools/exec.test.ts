import { existsSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { needs } from "../../needs.js";
import { type Running, ToolWorld } from "./tool_world.js";

const token = "access-1-secret";

describe("nexusd exec", () => {
  let world: ToolWorld;
  let connectionId: string;
  beforeAll(async () => {
    world = await ToolWorld.make();
    connectionId = await world.connect("github");
    await world.import(
      { name: "twilio", authType: AuthType.BASIC_AUTH },
      { username: "AC1", password: "twilio-secret" },
    );
    world.installNode(
      "gh",
      `const { env, argv } = process;
       process.stdout.write(JSON.stringify({ env, args: argv.slice(2) }));
       process.exit(Number(env.EXIT ?? 0));`,
    );
    // Says each signal, ends with 5 at SIGTERM, and hangs until then.
    world.installNode(
      "patient",
      `for (const name of ["SIGINT", "SIGHUP", "SIGUSR2", "SIGTERM"]) {
         process.on(name, () => {
           process.stdout.write("got " + name + "\\n");
           if (name === "SIGTERM") process.exit(5);
         });
       }
       setInterval(() => {}, 1000);
       process.stdout.write("ready\\n");`,
    );
  });
  afterAll(() => world.close());

  const exec = (args: string[], env: NodeJS.ProcessEnv = {}) => world.nexusd(["exec", ...args], { env });

  it("runs the program with its credentials, arguments and environment, and ends as it ends", async () => {
    const variables = ["--env", `GITHUB_TOKEN=github/${world.user}`, "--env", "TWILIO_SID=twilio.username"];
    const { code, stdout, stderr } = await exec(
      [
        ...variables,
        "--env",
        `TWILIO_TOKEN=twilio.password/${world.user}`,
        "--",
        "gh",
        "pr",
        "list",
        "--json",
        "a b",
      ],
      { EXIT: "7", OTHER: "stays", NEXUS_API_KEY: "for-nexusd-alone" },
    );
    expect([code, stderr]).toEqual([7, ""]);
    expect(stdout).not.toContain("NEXUS_API_KEY");
    expect(JSON.parse(stdout)).toMatchObject({
      args: ["pr", "list", "--json", "a b"],
      env: { GITHUB_TOKEN: token, TWILIO_SID: "AC1", TWILIO_TOKEN: "twilio-secret", OTHER: "stays" },
    });
    expect((await exec(["--env", `A=${connectionId}`, "--", "gh"])).code).toBe(0);
  });

  it("passes standard input on", async () => {
    world.install("reads", '#!/bin/sh\nread line\necho "$line $TOKEN"\n');
    const { stdout } = await world.nexusd(["exec", "--env", "TOKEN=github", "--", "reads"], {
      stdin: "hello\n",
    });
    expect(stdout).toBe(`hello ${token}\n`);
  });

  it("keeps the credential out of every command line, of its own environment and of the log", async () => {
    world.installNode(
      "peeps",
      `const { readFileSync } = require("node:fs");
       const read = (pid, name) => readFileSync("/proc/" + pid + "/" + name, "utf8");
       const { pid, ppid } = process;
       process.stdout.write(JSON.stringify({
         seen: [read(pid, "cmdline"), read(ppid, "cmdline"), read(ppid, "environ")],
         own: read(pid, "environ"),
       }));`,
    );
    const { stdout } = await exec(["--env", "GITHUB_TOKEN=github", "--", "peeps"]);
    const { seen, own } = JSON.parse(stdout) as { seen: string[]; own: string };
    expect(own).toContain(token);
    expect(seen.join("\n")).toContain("--env");
    expect(seen.join("\n")).not.toContain(token);
    expect(world.scripted.place.logLines.join("\n")).not.toContain(token);
  });

  describe("signals", () => {
    const patient = async (): Promise<Running> => {
      const running = world.start("nexusd", ["exec", "--env", "A=github", "--", "patient"]);
      await running.wrote("ready");
      return running;
    };

    it("are passed on to the program, whose exit code counts", async () => {
      const running = await patient();
      for (const name of ["SIGINT", "SIGHUP", "SIGUSR2"] as const) {
        running.child.kill(name);
        await running.wrote(`got ${name}\n`);
      }
      running.child.kill("SIGTERM");
      const { code, stdout } = await running.ended;
      expect(code).toBe(5);
      expect(stdout).toBe("ready\ngot SIGINT\ngot SIGHUP\ngot SIGUSR2\ngot SIGTERM\n");
    });

    it.each(["SIGTERM", "SIGKILL"] as const)(
      "that end the program are 128 and their number: %s",
      async (name) => {
        world.installNode("falls", `process.kill(process.pid, "${name}"); setInterval(() => {}, 1000);`);
        expect((await exec(["--env", "A=github", "--", "falls"])).code).toBe(128 + constants.signals[name]);
      },
    );

    it("of a terminal reach the program once, which the terminal sends to it too", async (context) => {
      needs(context, "script");
      world.installNode(
        "counts",
        `let count = 0;
         process.on("SIGINT", () => { count++; setTimeout(() => { console.log("count " + count); process.exit(0); }, 300); });
         setInterval(() => {}, 1000);
         console.log("ready");`,
      );
      const running = world.start("script", ["-qec", "nexusd exec --env A=github -- counts", "/dev/null"], {
        openStdin: true,
      });
      await running.wrote("ready");
      running.child.stdin?.write("\x03");
      const { stdout } = await running.ended;
      expect(stdout).toContain("count 1");
    });
  });

  describe("does not start the program", () => {
    const started = (): boolean => existsSync(join(world.home, "started"));
    const refused = async (args: string[], code: number): Promise<string> => {
      world.install("marks", "#!/bin/sh\ntouch started\n");
      const ended = await exec([...args, "--", "marks"]);
      expect([ended.code, ended.stdout, started()]).toEqual([code, "", false]);
      return ended.stderr;
    };

    it("while a person must consent, and names the command that makes the link", async () => {
      await world.scripted.register({ name: "slack" });
      expect(await refused(["--env", "A=github", "--env", "B=slack"], 22)).toContain(
        "you have no connection to slack\na person can consent: nexusd connect slack\n",
      );
      const providerId = await world.scripted.register({ name: "pending" });
      await world.scripted.request(providerId);
      expect(await refused(["--env", "B=pending/ada"], 22)).toContain("nexusd connect pending/ada\n");
    });

    it("for a provider that does not exist, and suggests the one that is meant", async () => {
      expect(await refused(["--env", "A=githu"], 1)).toContain("did you mean github?");
    });

    it("without the daemon", async () => {
      const ended = await world.nexusd(["exec", "--env", "A=github", "--", "marks"], {
        env: { NEXUS_DATA_DIR: join(world.home, "nowhere") },
      });
      expect([ended.code, started()]).toEqual([20, false]);
      expect(ended.stderr).toContain("the daemon is not reachable");
    });

    it("with variables that cannot be", async () => {
      expect(await refused([], 2)).toContain("name at least one variable, as --env GITHUB_TOKEN=github");
      expect(await refused(["--env", "GITHUB_TOKEN"], 2)).toContain("must be NAME=CONNECTION");
      expect(await refused(["--env", "1A=github"], 2)).toContain("must be NAME=CONNECTION");
      expect(await refused(["--env", "A="], 2)).toContain("names no credential");
      expect(await refused(["--env", "A=github", "--env", "A=twilio"], 2)).toContain("names A twice");
      expect(await refused(["--env", "A=twilio.sid"], 1)).toContain(
        "no field sid: it has password, username",
      );
    });

    it("that is none", async () => {
      const missing = await exec(["--env", "A=github", "--", "no-such-program"]);
      expect([missing.code, missing.stderr]).toEqual([
        127,
        expect.stringContaining("no-such-program cannot be started: there is no such program"),
      ]);
      const plain = join(world.home, "plain");
      writeFileSync(plain, "", { mode: 0o600 });
      expect(await exec(["--env", "A=github", "--", plain])).toMatchObject({ code: 126 });
      expect((await exec(["--env", "A=github"])).code).toBe(2);
    });
  });
});
