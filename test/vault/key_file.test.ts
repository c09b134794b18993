import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  addToKeyFile,
  createKeyFile,
  decodeKey,
  decodeKeys,
  KeyFault,
  readKeyFile,
  removeFromKeyFile,
} from "../../src/vault/key_file.js";
import { keyIdOf } from "../../src/vault/sealing_key.js";
import { temporaryFolder } from "../temporary_folder.js";

describe("key file", () => {
  const folder = temporaryFolder();

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
    writeFileSync(path, text, { mode: 0o600 });
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

  it("holds a ring, the newest last, with comments", () => {
    const path = join(folder, "ring.key");
    const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
    writeFileSync(
      path,
      `# made in 2026\n${one.toString("base64")}\n\n${two.toString("base64")} # the newest\n`,
      { mode: 0o600 },
    );
    expect(readKeyFile(path)).toEqual([one, two]);
    expect(decodeKeys(`${one.toString("base64")},${two.toString("base64")}`, "x")).toEqual([one, two]);
    expect(() => decodeKeys(`${one.toString("base64")},short`, "x")).toThrow(KeyFault);
    expect(() => decodeKeys(Array(17).fill(one.toString("base64")).join("\n"), "x")).toThrow("at most 16");
  });

  it("gets a key and loses one in one step each, for its owner only, and keeps a symbolic link", () => {
    const path = join(folder, "changing.key");
    const link = join(folder, "link.key");
    const first = createKeyFile(path);
    symlinkSync(path, link);
    chmodSync(path, 0o640);
    writeFileSync(`${path}.new`, "left by a crash");
    const added = addToKeyFile(link);
    const [kept, fresh = Buffer.alloc(0)] = readKeyFile(path);
    expect(kept).toEqual(first);
    expect(keyIdOf(fresh)).toBe(added);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    removeFromKeyFile(link, keyIdOf(first));
    expect(readKeyFile(path)).toEqual([fresh]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".new"))).toEqual([]);
  });

  it.each([0o644, 0o666, 0o604, 0o602])("is refused at mode %o, read or changed", (mode) => {
    const path = join(folder, `open-${mode}.key`);
    const key = createKeyFile(path);
    chmodSync(path, mode);
    expect(() => readKeyFile(path)).toThrow(KeyFault);
    expect(() => addToKeyFile(path)).toThrow(`(mode 0${mode.toString(8)}): run "chmod 600" on it`);
    chmodSync(path, 0o440);
    expect(readKeyFile(path)).toEqual([key]);
  });

  it("says which file cannot be changed", () => {
    expect(() => addToKeyFile(join(folder, "none"))).toThrow(/none cannot be read: ENOENT/);
  });
});
