import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";
import { DataFolderUnusable } from "../../../src/store/lmdb/store_error.js";
import { makeFifo } from "../../fakes/fifo.js";
import { temporaryFolder } from "../../temporary_folder.js";

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

test("a file instead of the folder is refused", () => {
  const path = join(temporaryFolder(), "file");
  writeFileSync(path, "");
  expect(() => lockDataFolder(path)).toThrow(DataFolderUnusable);
  expect(() => lockDataFolder(join(path, "inside"))).toThrow(
    /cannot be made or written \(ENOTDIR\): choose another/,
  );
});

// `mkdirSync` with `recursive` spins there for ever.
test.runIf(existsSync("/proc/self"))("a folder that the system makes for nobody is refused at once", () => {
  expect(() => lockDataFolder("/proc/nexusd-test/data")).toThrow(DataFolderUnusable);
  expect(() => lockDataFolder("/proc/nexusd-test/data")).toThrow(
    /\(ENOENT\): choose another one with --data-dir/,
  );
});

const files = [
  ...["nexusd.lock", "nexus.mdb-lock", "nexus.mdb-open", "outbox.mdb", "outbox.mdb-lock", "outbox.mdb-open"],
  ...["daemon-id", "spool.bin"],
];
const readFiles = ["upstream.json", "lead-given-back.json", "encryption.key", "admin.key"];
const odd: readonly (readonly [what: string, make: (path: string) => void, why: string])[] = [
  ["a FIFO", (path) => makeFifo(path), "no regular file"],
  ["a folder", (path) => mkdirSync(path), "EISDIR|no regular file"],
  ["a device", (path) => symlinkSync("/dev/zero", path), "no regular file"],
  ["a link to nowhere", (path) => symlinkSync("/nowhere/at/all", path), "ENOENT"],
  ["a link to itself", (path) => symlinkSync(path, path), "ELOOP"],
];

test.each([...files, ...readFiles].flatMap((name) => odd.map((one) => [name, ...one] as const)))(
  "%s that is %s is refused before it crashes LMDB or is waited for",
  (name, _what, make, why) => {
    const folder = temporaryFolder();
    const path = join(folder, name);
    make(path);
    expect(() => lockDataFolder(folder)).toThrow(DataFolderUnusable);
    expect(() => lockDataFolder(folder)).toThrow(
      new RegExp(`^the file ${path} cannot be used \\(${why}\\): `),
    );
    rmSync(path, { recursive: true });
    lockDataFolder(folder).release();
  },
);

test("files of every other name are left alone", () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "lost+found"));
  makeFifo(join(folder, "mine"));
  symlinkSync("/nowhere", join(folder, "..data"));
  writeFileSync(join(folder, "real.key"), "key", { mode: 0o400 });
  symlinkSync(join(folder, "real.key"), join(folder, "encryption.key"));
  lockDataFolder(folder).release();
});
