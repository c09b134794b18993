import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkStoreFile, markClosed, markOpen, openMarkSuffix } from "../../../src/store/lmdb/file_check.js";
import { isDamage, StoreDamaged } from "../../../src/store/lmdb/store_error.js";
import { Store, storeFileName } from "../../../src/store/store.js";
import { nowMs } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { startChild } from "../child.js";
import { fill } from "./whole_store.js";

const pageBytes = 4096;
const seed = Number(process.env["PROPERTY_SEED"] ?? 7);
const trials = 107;

type Random = (below: number) => number;

function pseudoRandom(seed: number): Random {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const randomBytes = (random: Random, length: number): Buffer =>
  Buffer.from(Array.from({ length }, () => random(256)));
/** Where a page begins that is none of the two first. */
const aPage = (random: Random, { length }: Buffer): number =>
  (2 + random(length / pageBytes - 2)) * pageBytes;

/** What a disk, a file system or a copy does to a file. `before` is the same store some commits earlier. */
const damages: readonly [string, (bytes: Buffer, random: Random, before: Buffer) => Buffer | undefined][] = [
  ["a page of zeros", (bytes, random) => bytes.fill(0, ...range(aPage(random, bytes), pageBytes))],
  ["a page of noise", (bytes, random) => put(bytes, aPage(random, bytes), randomBytes(random, pageBytes))],
  ["a sector of zeros", (bytes, random) => bytes.fill(0, ...range(random(bytes.length / 512) * 512, 512))],
  [
    "a sector of noise",
    (bytes, random) => put(bytes, random(bytes.length / 512) * 512, randomBytes(random, 512)),
  ],
  ["a bit", (bytes, random) => flip(bytes, random(bytes.length), random(8))],
  ["a bit in a header", (bytes, random) => flip(bytes, aPage(random, bytes) + random(24), random(8))],
  [
    "a bit among the offsets",
    (bytes, random) => flip(bytes, aPage(random, bytes) + 24 + random(40), random(8)),
  ],
  ["noise in a header", (bytes, random) => put(bytes, aPage(random, bytes) + 16, randomBytes(random, 8))],
  [
    "a page twice",
    (bytes, random) =>
      bytes.copy(bytes, aPage(random, bytes), ...range(aPage(random, bytes), pageBytes)) ? bytes : bytes,
  ],
  [
    "a page under another number",
    (bytes, random) => {
      const [from, to] = [aPage(random, bytes), aPage(random, bytes)];
      bytes.copy(bytes, to, from, from + pageBytes);
      bytes.writeBigUInt64LE(BigInt(to / pageBytes), to);
      return bytes;
    },
  ],
  [
    "a page of before",
    (bytes, random, before) => {
      const page = aPage(random, before);
      before.copy(bytes, page, page, page + pageBytes);
      return bytes;
    },
  ],
  ["a cut", (bytes, random) => bytes.subarray(0, random(bytes.length))],
  ["a cut that was filled up", (bytes, random) => bytes.fill(0, random(bytes.length))],
  [
    "a bit in the first two pages",
    (bytes, random) => flip(bytes, random(2) * pageBytes + random(168), random(8)),
  ],
  [
    "a hundred bits",
    (bytes, random) => {
      for (let time = 0; time < 100; time++) flip(bytes, random(bytes.length), random(8));
      return bytes;
    },
  ],
];

function range(start: number, length: number): [number, number] {
  return [start, start + length];
}

function put(bytes: Buffer, at: number, part: Buffer): Buffer {
  part.copy(bytes, at);
  return bytes;
}

function flip(bytes: Buffer, at: number, bit: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
  return bytes;
}

/** A store, and how it was some commits before. */
async function aStore(): Promise<{
  readonly folder: string;
  readonly whole: Buffer;
  readonly before: Buffer;
}> {
  const folder = temporaryFolder();
  const path = join(folder, storeFileName);
  const store = Store.open({ folder, nowMs });
  await fill(store);
  const before = readFileSync(path);
  await store.commit((tx) => tx.deleteConnection(store.connectionIds(undefined, 1)[0] ?? ""));
  await store.close();
  return { folder, whole: readFileSync(path), before };
}

test(`of ${trials} damaged stores none ends the process without a word, and none has a token of another (seed ${seed})`, async () => {
  const { whole, before } = await aStore();
  const root = temporaryFolder();
  const folders = Array.from({ length: trials }, (_, index) => {
    const [name, damage] = damages[index % damages.length] ?? ["nothing", () => undefined];
    const folder = join(root, `${index} ${name}`);
    mkdirSync(folder);
    const bytes = damage(Buffer.from(whole), pseudoRandom(seed * 1_000 + index), before);
    writeFileSync(join(folder, storeFileName), bytes ?? whole);
    return folder;
  });
  const child = startChild("open_damaged", folders);
  const refused: string[] = [];
  for (const folder of folders) {
    const line = await child.nextLine();
    expect(line, `${folder}: the process ended without a word`).toBeDefined();
    const found = JSON.parse(line ?? "{}");
    expect(found.folder).toBe(folder);
    expect(found.wrong ?? [], folder).toEqual([]);
    if (found.refused === undefined) continue;
    refused.push(folder);
    expect(found.refused, folder).toMatch(/^StoreDamaged: .*restore/);
  }
  expect(await child.ended()).toBe(0);
  // What is left are bits of records, and pages that nothing refers to.
  expect(refused.length).toBeGreaterThan(trials / 3);
}, 120_000);

test("a large file that was closed is not read as a whole, and one that was not is", async () => {
  const { folder, whole } = await aStore();
  const path = join(folder, storeFileName);
  expect(existsSync(`${path}${openMarkSuffix}`), "closed").toBe(false);
  // Longer than its commits need, as a file that once held more.
  truncateSync(path, 65 * 1024 * 1024);
  expect(() => checkStoreFile(path)).not.toThrow();
  markOpen(path);
  expect(() => checkStoreFile(path), "nothing is wrong").not.toThrow();
  const damaged = Buffer.from(whole);
  for (let page = 2; page < whole.length / pageBytes; page += 2)
    damaged.fill(0, ...range(page * pageBytes, pageBytes));
  writeFileSync(path, damaged);
  truncateSync(path, 65 * 1024 * 1024);
  expect(() => checkStoreFile(path)).toThrow(StoreDamaged);
  markClosed(path);
  expect(() => checkStoreFile(path)).not.toThrow();
});

test("the mark is there while the store is open, and after a process that was killed", async () => {
  const folder = temporaryFolder();
  const mark = join(folder, `${storeFileName}${openMarkSuffix}`);
  const child = startChild("commit_for_ever", [folder]);
  await child.nextLine();
  expect(existsSync(mark)).toBe(true);
  expect(statSync(mark).mode & 0o777).toBe(0o600);
  await child.kill();
  expect(existsSync(mark)).toBe(true);
  const store = Store.open({ folder, nowMs });
  expect(existsSync(mark)).toBe(true);
  await store.close();
  expect(existsSync(mark)).toBe(false);
});

test("what lies on pages that are damaged while the store is open is lost, and said to be", async () => {
  const child = startChild("damage_while_open", [temporaryFolder()]);
  expect(JSON.parse((await child.nextLine()) ?? "{}")).toEqual({
    read: "DataLoss: the store is damaged: stop nexusd, and restore a backup",
    wrong: [],
  });
  expect(await child.ended()).toBe(0);
});

test.each([
  [-30_797, true],
  [-30_796, true],
  [-30_793, true],
  [-30_792, false],
  [28, false],
])("code %i of LMDB is damage: %s", (code, expected) => {
  expect(isDamage(Object.assign(new Error("x"), { code }))).toBe(expected);
});

test("a store that is damaged while it is open is refused at the next start", async () => {
  const { folder, whole } = await aStore();
  const path = join(folder, storeFileName);
  const open = temporaryFolder();
  copyFileSync(path, join(open, storeFileName));
  const child = startChild("commit_for_ever", [open]);
  await child.nextLine();
  await child.kill();
  const bytes = readFileSync(join(open, storeFileName));
  for (let page = 2; page < whole.length / pageBytes; page++)
    bytes.fill(0, ...range(page * pageBytes + 24, 64));
  writeFileSync(join(open, storeFileName), bytes);
  expect(() => Store.open({ folder: open, nowMs })).toThrow(
    /has a damaged page \(\d+\): restore it from a backup/,
  );
});
