import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { KeySource } from "../../src/model/credentials/key_source.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { Secret } from "../../src/runtime/secret.js";
import { KeyError } from "../../src/vault/key_file.js";
import { KeyRingSource } from "../../src/vault/key_source.js";
import { temporaryFolder } from "../temporary_folder.js";

const line = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const sourceOf = (source: KeySource, environment: NodeJS.ProcessEnv = {}): KeyRingSource =>
  new KeyRingSource({ source, environment, clock: new SystemClock() });

describe("KeyRingSource", () => {
  it("makes the first key once, and never for a store that exists", async () => {
    const path = join(temporaryFolder(), "encryption.key");
    const source = sourceOf({ source: "generated", path });
    await expect(source.load(true)).rejects.toThrow(/encryption\.key is missing: put it back/);
    const first = await source.load(false);
    expect(first.created).toBe(true);
    expect(await source.load(true)).toEqual({ keys: first.keys, created: false });
    const added = source.add();
    expect(await source.read()).toHaveLength(2);
    source.remove(added);
    expect(await source.read()).toEqual(first.keys);
    expect(readFileSync(path, "utf8").trim()).toBe(first.keys[0]?.toString("base64"));
    rmSync(path);
    await expect(sourceOf({ source: "file", path }).load(false)).rejects.toThrow(KeyError);
  });

  it("reads a ring from the environment, and says what to do there instead of changing it", async () => {
    const source = sourceOf({ source: "environment", key: new Secret(`${line(1)}, ${line(2)}`) });
    expect(await source.read()).toEqual([Buffer.alloc(32, 1), Buffer.alloc(32, 2)]);
    expect(source.path).toBeUndefined();
    expect(() => source.add()).toThrow(/NEXUS_ENCRYPTION_KEY: add the new key there, after the old ones/);
    expect(() => source.remove("0".repeat(16))).toThrow(/remove the key there/);
  });

  it("reads a ring from a command, which gets the environment but no secret of ours", async () => {
    const script = `if (process.env.NEXUS_CLIENT_SECRET || process.env.NEXUS_API_KEY) process.exit(1);
      console.log(process.env.GIVEN)`;
    const argv = [process.execPath, "-e", script];
    const environment = { GIVEN: `${line(3)}\n${line(4)}`, NEXUS_CLIENT_SECRET: "s", NEXUS_API_KEY: "k" };
    const source = sourceOf({ source: "command", argv }, environment);
    expect(await source.read()).toEqual([Buffer.alloc(32, 3), Buffer.alloc(32, 4)]);
    expect(() => source.add()).toThrow(KeyError);
    const wrong = sourceOf({ source: "command", argv }, { GIVEN: "not a key" });
    await expect(wrong.read()).rejects.toThrow(/^the output of .* must hold base64 of 32 bytes/);
    await expect(wrong.read()).rejects.not.toThrow(/not a key/);
  });
});
