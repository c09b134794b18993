import { cpSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { daemonIdOf } from "../../../src/store/store.js";
import { temporaryFolder } from "../../temporary_folder.js";

describe("the id of a daemon", () => {
  test("stays that of its folder, and is no copy's", () => {
    const folder = temporaryFolder();
    const id = daemonIdOf(folder);
    expect(daemonIdOf(folder)).toBe(id);
    expect(statSync(join(folder, "daemon-id")).mode & 0o777).toBe(0o600);
    const copy = temporaryFolder();
    cpSync(folder, copy, { recursive: true });
    const other = daemonIdOf(copy);
    expect(other).not.toBe(id);
    expect(daemonIdOf(copy)).toBe(other);
    expect(daemonIdOf(folder)).toBe(id);
  });

  test.each(["", "x", "\u0000\u0000", "123 456"])("is made anew from a file that says %j", (text) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "daemon-id"), text);
    const id = daemonIdOf(folder);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(daemonIdOf(folder)).toBe(id);
  });
});
