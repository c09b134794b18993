import { mkdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WatchedFile } from "../../src/document/watched_file.js";
import { ManualClock } from "../../src/runtime/manual_clock.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";

describe("a watched file", () => {
  let folder: string;
  const clock = perTest(() => new ManualClock(0));
  let file: WatchedFile;
  let changes: number;
  const watched = new Map<string, () => void>();

  beforeEach(() => {
    folder = realpathSync(temporaryFolder());
    changes = 0;
    watched.clear();
    file = new WatchedFile(join(folder, "providers.yaml"), {
      clock,
      watchFolder: (path, changed) => {
        if (path.includes("refused")) throw new Error("ENOSPC");
        watched.set(path, changed);
        return () => void watched.delete(path);
      },
    });
  });
  afterEach(() => file.close());
  const watch = () => file.watch(() => void changes++);
  const event = () => watched.get(folder)?.();

  it("waits until its folder is quiet", async () => {
    expect(await watch()).toEqual([]);
    event();
    clock.advance(199);
    event();
    clock.advance(199);
    expect(changes).toBe(0);
    clock.advance(1);
    expect(changes).toBe(1);
    clock.advance(10_000);
    expect(changes).toBe(1);
  });

  it("does not wait for ever for a folder that is never quiet", async () => {
    await watch();
    for (let waitedMs = 0; waitedMs < 800; waitedMs += 100) {
      event();
      clock.advance(100);
    }
    expect(changes).toBe(1);
  });

  it("notices what no folder tells of, as when the folder itself was replaced", async () => {
    writeFileSync(file.path, "one");
    await watch();
    const look = async () => {
      clock.advance(1_000);
      // Calls of the system of our own, which end after that of the look.
      for (let turn = 0; turn < 20; turn++) await readFile(file.path);
      clock.advance(200);
    };
    await look();
    expect(changes).toBe(0);
    renameSync(folder, `${folder}-old`);
    mkdirSync(folder);
    writeFileSync(file.path, "two");
    await look();
    expect(changes).toBe(1);
    await look();
    expect(changes).toBe(1);
    rmSync(`${folder}-old`, { recursive: true });
  });

  it("watches the folder of what it links to as well, and follows when the link turns", async () => {
    for (const name of ["one", "two"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "p.yaml"), "");
    }
    symlinkSync(join(folder, "one", "p.yaml"), file.path);
    await watch();
    expect([...watched.keys()].sort()).toEqual([folder, join(folder, "one")]);
    rmSync(file.path);
    symlinkSync(join(folder, "two", "p.yaml"), file.path);
    await watch();
    expect([...watched.keys()].sort()).toEqual([folder, join(folder, "two")]);
  });

  it("names the folders that cannot be watched", async () => {
    mkdirSync(join(folder, "refused"));
    writeFileSync(join(folder, "refused", "p.yaml"), "");
    symlinkSync(join(folder, "refused", "p.yaml"), file.path);
    expect(await watch()).toEqual([join(folder, "refused")]);
  });

  it("says nothing after it was closed", async () => {
    await watch();
    const late = watched.get(folder);
    event();
    file.close();
    late?.();
    clock.advance(10_000);
    expect(changes).toBe(0);
    expect(watched.size).toBe(0);
  });
});
