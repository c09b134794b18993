import { beforeEach, describe, expect, it } from "vitest";
import { DocumentError } from "../../src/document/document_error.js";
import { FileUnreadable, KeptFile } from "../../src/document/kept_file.js";
import { ManualClock } from "../fakes/manual_clock.js";

describe("a file that is kept", () => {
  let text: string | undefined;
  let notice: () => void;
  let closed: boolean;
  let violation: Error | undefined;
  let held: Promise<void> | undefined;
  let taken: string[];
  let failures: unknown[];
  let kept: KeptFile;

  beforeEach(() => {
    text = "one";
    closed = false;
    violation = undefined;
    held = undefined;
    taken = [];
    failures = [];
    kept = new KeptFile({
      path: "/f.yaml",
      clock: new ManualClock(0),
      take: async (given) => {
        taken.push(given);
        await held;
        if (violation) throw violation;
      },
      onFailure: (error) => void failures.push(error),
      file: {
        path: "/f.yaml",
        read: async () => {
          if (text === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
          return text;
        },
        watch: async (changed) => {
          notice = changed;
        },
        close: () => {
          closed = true;
        },
      },
    });
  });
  /** An event beside the file, and its turn. */
  const noticed = async (): Promise<void> => {
    notice();
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };

  it("is taken over at each new text, and whenever it is asked to be", async () => {
    await kept.watch();
    await kept.load();
    await noticed();
    expect(taken).toEqual(["one"]);
    text = "two";
    await noticed();
    await kept.reload();
    expect(taken).toEqual(["one", "two", "two"]);
  });

  it("tells of a file that cannot be read, and takes it when it is back", async () => {
    await kept.watch();
    await kept.load();
    text = undefined;
    await noticed();
    expect(failures).toMatchObject([{ name: "FileUnreadable", code: "ENOENT" }]);
    await expect(kept.load()).rejects.toBeInstanceOf(FileUnreadable);
    text = "one";
    await noticed();
    expect(taken).toEqual(["one", "one"]);
  });

  it("tells once of a broken text, and tries anew what failed otherwise", async () => {
    await kept.watch();
    violation = new DocumentError([{ line: 1, column: 1, message: "no" }]);
    await noticed();
    await noticed();
    expect(failures).toEqual([violation]);
    text = "two";
    violation = new Error("the disk");
    await noticed();
    await noticed();
    expect(taken).toEqual(["one", "two", "two"]);
    expect(failures).toHaveLength(2);
    await kept.reload();
    expect(failures).toHaveLength(3);
  });

  it("tells once that it cannot be read, until it can", async () => {
    await kept.watch();
    for (const readable of [false, false, true, false]) {
      text = readable ? "one" : undefined;
      await noticed();
    }
    expect(failures).toHaveLength(2);
  });

  it("is taken over in turns, and finishes the one under way before it stops", async () => {
    let release = (): void => undefined;
    held = new Promise((resolve) => {
      release = resolve;
    });
    await kept.watch();
    const [first, second] = [kept.reload(), kept.reload()];
    await noticed();
    expect(taken).toEqual(["one"]);
    let isStopped = false;
    const stopped = kept.stop().then(() => {
      isStopped = true;
    });
    await Promise.resolve();
    expect([closed, isStopped]).toEqual([true, false]);
    release();
    await Promise.all([first, second, stopped]);
    expect(taken).toEqual(["one"]);
  });
});
