import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { SpooledTokenSet } from "../../../src/model/connections/spooled_token_set.js";
import { SpoolFile, spoolFileBytes, spoolFileName } from "../../../src/store/files/spool_file.js";
import { aConnection } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

function entry(id: string, ciphertextBytes = 100): SpooledTokenSet {
  const sealed = {
    keyId: "k",
    layout: 1,
    nonce: new Uint8Array(12),
    ciphertext: new Uint8Array(ciphertextBytes).fill(7),
  };
  return {
    grant: "refresh",
    connection: aConnection({ id, credentialRevision: 2n }),
    credential: { revision: 2n, sealed },
  };
}

function open(folder: string): SpoolFile {
  const file = SpoolFile.open(folder);
  onTestFinished(() => file.close());
  return file;
}

const idsIn = (file: SpoolFile): string[] => file.read().entries.map((each) => each.connection.id);

describe("SpoolFile", () => {
  it("has its blocks from the start, and is closed to others", () => {
    const folder = temporaryFolder();
    expect(open(folder).violation).toBeUndefined();
    const { size, blocks, mode } = statSync(join(folder, spoolFileName));
    expect(size).toBe(spoolFileBytes);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
    expect(mode & 0o777).toBe(0o600);
  });

  it("gives back what was appended, also to the next process", () => {
    const folder = temporaryFolder();
    const file = open(folder);
    const entries = [entry("a"), entry("b", 9000)];
    file.append(entries);
    file.append([entry("c", 0)]);
    expect(open(folder).read()).toEqual({ entries: [...entries, entry("c", 0)], damaged: false });
    expect(statSync(join(folder, spoolFileName)).size).toBe(spoolFileBytes);
  });

  it("appends behind what it has read", () => {
    const folder = temporaryFolder();
    open(folder).append([entry("a")]);
    const next = open(folder);
    expect(idsIn(next)).toEqual(["a"]);
    next.append([entry("b")]);
    expect(idsIn(open(folder))).toEqual(["a", "b"]);
  });

  it("is empty when it was cleared, with nothing of before left in it", () => {
    const folder = temporaryFolder();
    const file = open(folder);
    file.append([entry("a"), entry("b")]);
    file.clear();
    expect(readFileSync(join(folder, spoolFileName)).every((byte) => byte === 0)).toBe(true);
    file.append([entry("c", 0)]);
    expect(open(folder).read()).toEqual({ entries: [entry("c", 0)], damaged: false });
  });

  it("knows a write that was cut off at any byte, and keeps what stands before it", () => {
    const folder = temporaryFolder();
    const path = join(folder, spoolFileName);
    const file = open(folder);
    file.append([entry("a")]);
    const one = readFileSync(path);
    file.append([entry("b")]);
    const two = readFileSync(path);
    const from = one.findLastIndex((byte) => byte !== 0) + 1;
    const to = two.findLastIndex((byte) => byte !== 0) + 1;
    for (let cut = from + 1; cut < to; cut++) {
      writeFileSync(path, Buffer.concat([two.subarray(0, cut), one.subarray(cut)]));
      const { entries, damaged } = file.read();
      expect([cut, entries.map((each) => each.connection.id), damaged]).toEqual([cut, ["a"], true]);
    }
  });

  it("writes over what was cut off", () => {
    const folder = temporaryFolder();
    const path = join(folder, spoolFileName);
    open(folder).append([entry("a")]);
    const bytes = readFileSync(path);
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const file = open(folder);
    expect(file.read()).toEqual({ entries: [], damaged: true });
    file.append([entry("b")]);
    expect(idsIn(open(folder))).toEqual(["b"]);
  });

  it("refuses what has no room, and keeps the rest", () => {
    const file = open(temporaryFolder());
    file.append([entry("a")]);
    expect(() => file.append([entry("b", spoolFileBytes)])).toThrow("the spool file is full");
    file.append([entry("c")]);
    expect(idsIn(file)).toEqual(["a", "c"]);
  });

  it("makes a file with holes whole again without losing what it holds", () => {
    const folder = temporaryFolder();
    const path = join(folder, spoolFileName);
    open(folder).append([entry("a")]);
    truncateSync(path, 4096);
    truncateSync(path, spoolFileBytes);
    expect(statSync(path).blocks * 512).toBeLessThan(spoolFileBytes);
    expect(idsIn(open(folder))).toEqual(["a"]);
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(spoolFileBytes);
  });
});
