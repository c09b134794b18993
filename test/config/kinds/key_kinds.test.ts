import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { splitCommand } from "../../../src/config/kinds/key_kinds.js";
import { violationsIn } from "../violations.js";

const load = (env: NodeJS.ProcessEnv) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }).encryptionKey;
const violationsOf = (env: NodeJS.ProcessEnv) => violationsIn(() => load(env));

describe("where keys come from", () => {
  const [one, two] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64"));

  it("a ring in the environment", () => {
    expect(load({ NEXUS_ENCRYPTION_KEY: `${one},${two}` })).toMatchObject({ source: "environment" });
    expect(violationsOf({ NEXUS_ENCRYPTION_KEY: `${one},AAAA` })).toEqual([
      expect.stringContaining("holds 3 bytes, not 32"),
    ]);
  });

  it.each([
    [{ NEXUS_ENCRYPTION_KEY: "exec:/bin/kms get 'my key'" }],
    [{ NEXUS_ENCRYPTION_KEY_COMMAND: "/bin/kms get 'my key'" }],
    [{ NEXUS_ENCRYPTION_KEY_COMMAND: 'exec:/bin/kms  get "my key"' }],
  ])("a command: %o", (env) => {
    expect(load(env)).toEqual({ source: "command", argv: ["/bin/kms", "get", "my key"] });
  });

  it.each([
    [{ NEXUS_ENCRYPTION_KEY_COMMAND: "/bin/kms 'open" }, "a quote that is not closed"],
    [{ NEXUS_ENCRYPTION_KEY: "exec: " }, "names no program"],
    [{ NEXUS_ENCRYPTION_KEY: one, NEXUS_ENCRYPTION_KEY_COMMAND: "/bin/kms" }, "are both set"],
  ])("refuses %o", (env, limit) => {
    expect(violationsOf(env).join()).toContain(limit);
    expect(violationsOf(env).join()).not.toContain("kms");
  });

  it.each([
    ["", []],
    ["  a\tb\nc ", ["a", "b", "c"]],
    [`a 'b c' "d 'e'" f''g`, ["a", "b c", "d 'e'", "fg"]],
    [`'' ""`, ["", ""]],
    ["a\\ b $HOME * `x`", ["a\\", "b", "$HOME", "*", "`x`"]],
  ])("splits %j", (text, words) => {
    expect(splitCommand(text)).toEqual(words);
  });

  it("does not split what is not closed", () => {
    expect(splitCommand(`a "b`)).toBeUndefined();
    expect(splitCommand("it's")).toBeUndefined();
  });
});
