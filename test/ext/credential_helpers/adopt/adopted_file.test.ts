import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import {
  KeptCopies,
  readFileOnDisk,
  replaceFile,
} from "../../../../src/ext/credential_helpers/adopt/adopted_file.js";
import { temporaryFolder } from "../../../temporary_folder.js";

describe("a file that is rewritten", () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder, ".env");
    writeFileSync(path, "A=1\n", { mode: 0o640 });
    chmodSync(path, 0o640);
  });

  const read = () => {
    const file = readFileOnDisk(path);
    if (!file) throw new Error("there is no file");
    return file;
  };

  it("is replaced at once, with its permissions and without a trace", () => {
    replaceFile(read(), "A=2\n");
    expect(readFileSync(path, "utf8")).toBe("A=2\n");
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual([".env"]);
  });

  it.each([
    ["its text", () => writeFileSync(path, "A=3\n")],
    ["its permissions", () => chmodSync(path, 0o600)],
  ])("is refused when %s changed meanwhile", (_, change) => {
    const file = read();
    change();
    const before = readFileSync(path, "utf8");
    expect(() => replaceFile(file, "A=2\n")).toThrow("was changed meanwhile");
    expect(readFileSync(path, "utf8")).toBe(before);
    expect(readdirSync(folder)).toEqual([".env"]);
  });

  it("is refused when another took its name meanwhile", () => {
    const file = read();
    replaceFile(file, "A=1\n");
    expect(() => replaceFile(file, "A=2\n")).toThrow("was changed meanwhile");
  });

  it.each([
    ["a symbolic link", () => symlinkSync(path, join(folder, "link")), "is a symbolic link"],
    ["a hard link", () => linkSync(path, join(folder, "link")), "has another name"],
    ["a folder", () => mkdirSync(join(folder, "link")), "is no regular file"],
    ["no text", () => writeFileSync(join(folder, "link"), Buffer.from([0x41, 0xff])), "is no text in UTF-8"],
    ["a zero", () => writeFileSync(join(folder, "link"), "A=\0"), "is no text in UTF-8"],
    [
      "a long line",
      () => writeFileSync(join(folder, "link"), " ".repeat(20_000)),
      "longer than 16384 characters",
    ],
    [
      "a long file",
      () => {
        writeFileSync(join(folder, "link"), "");
        truncateSync(join(folder, "link"), 2 ** 40);
      },
      "longer than 1024 KiB",
    ],
  ])("is refused as %s", (_, make, why) => {
    make();
    expect(() => readFileOnDisk(join(folder, "link"))).toThrow(why);
  });

  it("is none where there is none", () => {
    expect(readFileOnDisk(join(folder, "none"))).toBeUndefined();
    expect(readFileOnDisk(join(path, "none"))).toBeUndefined();
  });

  it("is kept as it was, for this user alone", () => {
    const copies = new KeptCopies({ XDG_STATE_HOME: join(folder, "state") });
    const copy = copies.keep(read(), "A=2\n");
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "state/nexusd/adopted")).mode & 0o777).toBe(0o700);
    expect(copies.of(path).map(({ content }) => content)).toEqual(["A=1\n"]);
    chmodSync(join(folder, "state/nexusd/adopted"), 0o755);
    expect(() => copies.keep(read(), "A=2\n")).toThrow("this user alone");
  });
});
