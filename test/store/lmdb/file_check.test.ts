import { once } from "node:events";
import { copyFileSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { checkStoreFile } from "../../../src/store/lmdb/file_check.js";
import { StoreDamaged } from "../../../src/store/lmdb/store_error.js";
import { Store, storeFileName } from "../../../src/store/store.js";
import { makeFifo } from "../../fakes/fifo.js";
import { aConnection, nowMs, sealed } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

/** Numbers in [0, below), the same in every run. */
function pseudoRandom(seed: number): (below: number) => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Commits of every kind and size; `check` runs after each batch is on disk. */
async function workload(folder: string, seed: number, batches: number, check: () => void): Promise<Store> {
  const random = pseudoRandom(seed);
  const store = Store.open({ folder, nowMs });
  for (let batch = 0; batch < batches; batch++) {
    const commits = Array.from({ length: 1 + random(3) }, () =>
      store.commit((tx) => {
        for (let i = random(random(3) === 0 ? 200 : 8); i >= 0; i--) {
          const id = `c${random(300)}`;
          const bytes = random(random(10) === 0 ? 100_000 : 3000);
          if (random(3) === 0) tx.deleteConnection(id);
          else tx.putConnection(aConnection({ id, dueAtMs: 1 + random(1e6) }));
          tx.putCredential(id, {
            revision: 1n,
            sealed: { ...sealed("x"), ciphertext: Buffer.alloc(bytes, 7) },
          });
        }
        if (random(5) === 0) throw new Error("rolled back");
      }),
    );
    await Promise.allSettled(commits);
    check();
  }
  return store;
}

test("an absent file passes", () => {
  expect(() => checkStoreFile(join(temporaryFolder(), storeFileName))).not.toThrow();
});

test.each([1, 2, 3, 4])("a healthy file passes after every commit (workload %i)", async (seed) => {
  const folder = temporaryFolder();
  const path = join(folder, storeFileName);
  const store = await workload(folder, seed, 60, () => checkStoreFile(path));
  await store.close();
  checkStoreFile(path);
});

describe("a damaged file is refused with what is wrong, where, and what to do", () => {
  let whole: Buffer;
  beforeAll(async () => {
    const folder = temporaryFolder();
    const store = await workload(folder, 9, 10, () => undefined);
    await store.commit((tx) => {
      for (let i = 0; i < 500; i++) tx.putConnection(aConnection({ id: `filler-${i}` }));
    });
    await store.close();
    whole = readFileSync(join(folder, storeFileName));
  });

  /** @returns the sentence of the refusal, undefined when it passes */
  function refusal(bytes: Uint8Array): string | undefined {
    const folder = temporaryFolder();
    const path = join(folder, storeFileName);
    writeFileSync(path, bytes);
    try {
      checkStoreFile(path);
      return undefined;
    } catch (error) {
      expect(error).toBeInstanceOf(StoreDamaged);
      expect(() => Store.open({ folder, nowMs })).toThrow(StoreDamaged);
      const message = String(error);
      expect(message).toContain(path);
      expect(message).toContain("restore it from a backup, or move it away");
      return message;
    }
  }

  test("empty", () => {
    expect(refusal(Buffer.alloc(0))).toContain("is empty");
  });

  test.each([1, 23, 167, 168, 4095, 4096, 4263, 4264, 8191, 8192, 8193, 12_288])(
    "cut to %i bytes",
    (length) => {
      expect(refusal(whole.subarray(0, length))).toContain("is truncated");
    },
  );

  test("cut anywhere at all", () => {
    const random = pseudoRandom(5);
    for (let i = 0; i < 60; i++) {
      expect(refusal(whole.subarray(0, random(Math.floor(whole.length * 0.9))))).toMatch(
        /is empty|is truncated/,
      );
    }
  });

  test("a FIFO, a socket, a folder, a device and links to nothing, at once", async () => {
    const refused = (path: string): void => {
      expect(() => checkStoreFile(path)).toThrow(StoreDamaged);
      expect(() => checkStoreFile(path)).toThrow(
        /is no regular file: restore it from a backup, or move it away/,
      );
    };
    const folder = temporaryFolder();
    const fifo = join(folder, storeFileName);
    makeFifo(fifo);
    refused(fifo);
    expect(() => Store.open({ folder, nowMs })).toThrow(StoreDamaged);
    const socket = join(folder, "socket");
    const server = createServer().listen(socket);
    await once(server, "listening");
    refused(socket);
    server.close();
    refused(folder);
    refused("/dev/null");
    for (const [name, target] of [
      ["dangling", "/nowhere/at/all"],
      ["loop", "loop"],
    ] as const) {
      symlinkSync(target, join(folder, name));
      refused(join(folder, name));
    }
  });

  test("garbage, zeros, a text, another data format, an absurd page size", () => {
    expect(refusal(Buffer.alloc(20_000, 0xa5))).toContain("is not an LMDB file");
    expect(refusal(Buffer.alloc(20_000))).toContain("is not an LMDB file");
    expect(refusal(Buffer.from("#!/bin/sh\n".repeat(100)))).toContain("is not an LMDB file");
    const otherFormat = Buffer.from(whole);
    otherFormat.writeUInt32LE(1, 28);
    expect(refusal(otherFormat)).toContain("has data format 1");
    const otherPages = Buffer.from(whole);
    otherPages.writeUInt32LE(4097, 48);
    expect(refusal(otherPages)).toContain("page size of 4097");
    const secondMeta = Buffer.from(whole);
    secondMeta.fill(0, 4096, 8192);
    expect(refusal(secondMeta)).toContain("is not an LMDB file");
  });
});

test("a file without pages that nothing refers to passes, opens and takes writes", async () => {
  const folder = temporaryFolder();
  const path = join(folder, storeFileName);
  const store = Store.open({ folder, nowMs });
  const large = { revision: 1n, sealed: { ...sealed("x"), ciphertext: Buffer.alloc(400_000) } };
  // More than once: the commits that follow find free pages before the end of the file.
  for (let time = 0; time < 3; time++)
    await store.commit((tx) => tx.putConnection(aConnection({ id: "kept" })));
  await store.commit((tx) => tx.putCredential("large", large));
  await store.commit((tx) => tx.deleteCredential("large"));
  await store.close();
  const shorter = temporaryFolder();
  const copy = join(shorter, storeFileName);
  let length = statSync(path).size;
  for (;;) {
    copyFileSync(path, copy);
    truncateSync(copy, length - 4096);
    try {
      checkStoreFile(copy);
    } catch {
      break;
    }
    length -= 4096;
  }
  expect(length).toBeLessThan(statSync(path).size);
  truncateSync(path, length);
  const again = Store.open({ folder, nowMs });
  expect(again.getConnection("kept")).toEqual(aConnection({ id: "kept" }));
  await again.commit((tx) => tx.putCredential("large", large));
  expect(again.getCredential("large")?.sealed.ciphertext).toHaveLength(400_000);
  await again.close();
  checkStoreFile(path);
});
