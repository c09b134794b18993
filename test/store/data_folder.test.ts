import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockDataFolder } from "../../src/store/data_folder.js";
import { DataFolderInUse } from "../../src/store/store_error.js";
import { temporaryFolder } from "../temporary_folder.js";
import { startChild } from "./child.js";

function mode(path: string): number {
  return statSync(path).mode & 0o777;
}

test("the folder and its lock file are made for their owner only", () => {
  const folder = join(temporaryFolder(), "a", "b");
  const lock = lockDataFolder(folder);
  expect(mode(folder)).toBe(0o700);
  expect(mode(join(folder, "nexusd.lock"))).toBe(0o600);
  expect(readFileSync(join(folder, "nexusd.lock"), "utf8")).toBe(`${process.pid}\n`);
  lock.release();
});

test("an open folder of ours is closed to others", () => {
  const folder = join(temporaryFolder(), "open");
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "nexusd.lock"), "12345678901234567890");
  chmodSync(join(folder, "nexusd.lock"), 0o644);
  lockDataFolder(folder).release();
  expect(mode(folder)).toBe(0o700);
  expect(mode(join(folder, "nexusd.lock"))).toBe(0o600);
});

test("a file in place of the folder is refused", () => {
  const path = join(temporaryFolder(), "file");
  writeFileSync(path, "");
  expect(() => lockDataFolder(path)).toThrow();
});

test("one process holds it at a time; its death by kill -9 frees it", async () => {
  const folder = temporaryFolder();
  const holder = startChild("hold_folder", [folder]);
  expect(await holder.nextLine()).toBe("held");
  const refusal = `the data folder ${folder} is in use by process ${holder.pid}`;
  expect(() => lockDataFolder(folder)).toThrow(DataFolderInUse);
  expect(() => lockDataFolder(folder)).toThrow(refusal);
  const second = startChild("hold_folder", [folder]);
  expect(await second.nextLine()).toContain(refusal);
  await holder.kill();
  const lock = lockDataFolder(folder);
  expect(() => lockDataFolder(folder)).toThrow(`process ${process.pid}`);
  lock.release();
  lock.release();
  lockDataFolder(folder).release();
});
