import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SystemClock } from "../../src/runtime/clock.js";
import { commandTimeoutMs, runKeyCommand } from "../../src/vault/key_command.js";
import { KeyError } from "../../src/vault/key_file.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { temporaryFolder } from "../temporary_folder.js";

const node = process.execPath;
const run = (argv: readonly string[], clock = new SystemClock(), environment: NodeJS.ProcessEnv = {}) =>
  runKeyCommand(argv, { environment, clock });

describe("a command that prints keys", () => {
  it("gets its arguments as they are, and no shell", async () => {
    const folder = temporaryFolder();
    const marker = join(folder, "pwned");
    const words = [`$(touch ${marker})`, `; touch ${marker}`, "`id`", "two words", "*"];
    const output = await run([node, "-e", "console.log(JSON.stringify(process.argv.slice(1)))", ...words]);
    expect(JSON.parse(output)).toEqual(words);
    expect(existsSync(marker)).toBe(false);
  });

  it("gets the environment that it is given and nothing else", async () => {
    const script =
      "console.log(Object.keys(process.env).filter((name) => name !== '__CF_USER_TEXT_ENCODING').join())";
    expect(await run([node, "-e", script], new SystemClock(), { VAULT_ADDR: "x" })).toBe("VAULT_ADDR\n");
  });

  it.each([
    [
      "ends with a code",
      ["-e", "console.log('the key'); console.error('the key'); process.exit(3)"],
      /ended with 3/,
    ],
    [
      "is killed",
      ["-e", "console.log('the key'); process.kill(process.pid, 'SIGKILL')"],
      /ended with SIGKILL/,
    ],
    ["prints too much", ["-e", "for (;;) console.log('the key'.repeat(1000))"], /more than 65536 bytes/],
  ])("fails when it %s, and repeats nothing of what was printed", async (_name, args, message) => {
    const failure = await run([node, ...args]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KeyError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).not.toContain("the key");
  });

  it("fails when there is no such program", async () => {
    await expect(run(["/nowhere/kms"])).rejects.toThrow("/nowhere/kms cannot be run: ENOENT");
  });

  it("is ended with all that it started after 30 seconds", async () => {
    const clock = new ManualClock(1_000);
    const file = join(temporaryFolder(), "pid");
    const child = `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' }).pid`;
    const script = `require('node:fs').writeFileSync(${JSON.stringify(file)}, String(${child})); setInterval(() => {}, 1000)`;
    const failure = run([node, "-e", script], clock).catch((error: unknown) => error as Error);
    while (!existsSync(file) || readFileSync(file, "utf8") === "")
      await new Promise((resolve) => setImmediate(resolve));
    clock.advance(commandTimeoutMs);
    expect(((await failure) as Error).message).toContain("was not done after 30 s");
    const grandchild = Number(readFileSync(file, "utf8"));
    for (;;) {
      try {
        process.kill(grandchild, 0);
      } catch {
        break;
      }
      // A zombie that nobody has waited for yet counts as ended.
      if (/\) Z /.test(readFileSync(`/proc/${grandchild}/stat`, "utf8"))) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    writeFileSync(file, "");
  });
});
