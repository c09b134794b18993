import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createKeyFile, decodeKey, KeyFault, readKeyFile } from "../../src/vault/key_file.js";

describe("key file", () => {
  const folder = mkdtempSync(join(tmpdir(), "nexus-key-"));

  it("is made once, for its owner only, and read back", () => {
    const path = join(folder, "encryption.key");
    const key = createKeyFile(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readKeyFile(path)).toEqual([key]);
    expect(() => createKeyFile(path)).toThrow("EEXIST");
    expect(readFileSync(path, "utf8")).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
  });

  it.each([
    ["empty", ""],
    ["short", Buffer.alloc(31).toString("base64")],
    ["long", Buffer.alloc(33).toString("base64")],
    ["hex", Buffer.alloc(32).toString("hex")],
    ["with a stray character", `${"A".repeat(42)}!=`],
  ])("refuses a key that is %s without repeating it", (_name, text) => {
    const path = join(folder, "bad.key");
    writeFileSync(path, text);
    expect(() => readKeyFile(path)).toThrow(KeyFault);
    expect(() => readKeyFile(path)).toThrow(path);
  });

  it("accepts base64url", () => {
    const key = Buffer.alloc(32, 0xff);
    expect(decodeKey(key.toString("base64url"), "x").equals(key)).toBe(true);
  });

  it("names a file that is missing", () => {
    expect(() => readKeyFile(join(folder, "none"))).toThrow("ENOENT");
  });
});
