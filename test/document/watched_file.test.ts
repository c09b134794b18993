import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lookEveryMs, WatchedFile } from "../../src/document/kept_file.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";

describe("a watched file", () => {
  let folder: string;
  const clock = perTest(() => new ManualClock(0));
  let file: WatchedFile;
  let changes: number;

  beforeEach(() => {
    folder = temporaryFolder();
    changes = 0;
    file = new WatchedFile(join(folder, "providers.yaml"), clock);
  });
  afterEach(() => file.close());

  const watch = () => file.watch(() => void changes++);
  const look = async () => {
    clock.advance(lookEveryMs);
    // A look that has ended sets the timer of the next one.
    await vi.waitFor(() => expect(clock.pending).toBe(1));
  };
  const looks = async (count: number) => {
    for (let done = 0; done < count; done++) await look();
    return changes;
  };

  it("is told of once, one look after it was found to be another", async () => {
    writeFileSync(file.path, "one");
    await watch();
    expect(await looks(3)).toBe(0);
    writeFileSync(file.path, "half");
    expect(await looks(1)).toBe(0);
    expect(await looks(1)).toBe(1);
    expect(await looks(3)).toBe(1);
  });

  it("is told of while it is written without end, and when that is over", async () => {
    await watch();
    for (let times = 1; times <= 4; times++) {
      writeFileSync(file.path, "x".repeat(times));
      await look();
    }
    expect(changes).toBe(3);
    expect(await looks(3)).toBe(4);
  });

  it("is told of when it goes, when it comes, and when its folder is replaced", async () => {
    writeFileSync(file.path, "one");
    await watch();
    rmSync(file.path);
    expect(await looks(2)).toBe(1);
    writeFileSync(file.path, "one");
    expect(await looks(2)).toBe(2);
    renameSync(folder, `${folder}-old`);
    mkdirSync(folder);
    writeFileSync(file.path, "two");
    expect(await looks(2)).toBe(3);
    rmSync(`${folder}-old`, { recursive: true });
  });

  it("follows a link, also when the link turns or what it leads to is written", async () => {
    for (const name of ["one", "two"]) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "p.yaml"), "");
    }
    symlinkSync(join(folder, "one", "p.yaml"), file.path);
    await watch();
    rmSync(file.path);
    symlinkSync(join(folder, "two", "p.yaml"), file.path);
    expect(await looks(2)).toBe(1);
    writeFileSync(join(folder, "two", "p.yaml"), "new");
    expect(await looks(2)).toBe(2);
  });

  it("says nothing after it was closed, and sets no timer", async () => {
    writeFileSync(file.path, "one");
    await watch();
    writeFileSync(file.path, "two");
    await look();
    file.close();
    clock.advance(3 * lookEveryMs);
    expect(changes).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
