import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";
import { artefact, succeed, version } from "./made.js";

function unpacked(target: string): string {
  const place = temporaryFolder();
  succeed("tar", ["--extract", "--file", artefact(`nexusd-VERSION-${target}.tar.gz`), "--directory", place]);
  return join(place, `nexusd-${version}-${target}`);
}

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );

/** By the first bytes of a file: what native code it is. */
function formatOf(bytes: Buffer): "Mach-O" | "universal" | "ELF" | "PE" | undefined {
  if (bytes.length < 32) return undefined;
  if (bytes.readUInt32LE(0) === 0xfeedfacf) return "Mach-O";
  // Files of Java begin with the same four bytes, but no universal one has so many processors.
  if (bytes.readUInt32BE(0) === 0xcafebabe && bytes.readUInt32BE(4) < 20) return "universal";
  if (bytes.readUInt32BE(0) === 0x7f454c46) return "ELF";
  return bytes.readUInt16LE(0) === 0x5a4d ? "PE" : undefined;
}

/** The words of a 64-bit Mach-O file: its processor, and whether it has a signature (`LC_CODE_SIGNATURE`). */
function machOf(bytes: Buffer) {
  let [offset, isSigned] = [32, false];
  for (let left = bytes.readUInt32LE(16); left > 0; left -= 1) {
    if (bytes.readUInt32LE(offset) === 0x1d) isSigned = true;
    offset += bytes.readUInt32LE(offset + 4);
  }
  return { processor: bytes.readUInt32LE(4), isSigned };
}

/** Nothing of Apple runs here: the release workflow starts these on macOS. */
describe.each([
  ["arm64", 0x0100000c],
  ["x64", 0x01000007],
])("the tarball of macOS on %s", (processor, expected) => {
  let folder: string;
  let files: string[];
  beforeAll(() => {
    folder = unpacked(`darwin-${processor}`);
    files = filesOf(folder);
  });

  test("has native code for macOS on its processor alone, signed where the system asks for it", () => {
    const native = files.flatMap((name) => {
      const bytes = readFileSync(join(folder, name));
      const format = formatOf(bytes);
      if (format === undefined) return [];
      const mach = format === "Mach-O" ? machOf(bytes) : undefined;
      return [{ name, format, ...mach, isSigned: mach?.isSigned === true || processor === "x64" }];
    });
    const wrong = native.filter((file) => file.format !== "Mach-O" || file.processor !== expected);
    expect(wrong).toEqual([]);
    expect(native.filter(({ isSigned }) => !isSigned)).toEqual([]);
    const names = native.map(({ name }) => name);
    expect(names).toContain("lib/node");
    for (const part of [`@lmdb/lmdb-darwin-${processor}/`, `@koromix/koffi-darwin-${processor}/`])
      expect(names.filter((name) => name.includes(part) && name.endsWith(".node"))).not.toEqual([]);
    expect(
      names.filter((name) => name.includes(`fs-native-extensions/prebuilds/darwin-${processor}/`)),
    ).not.toEqual([]);
    const addons = files.filter((name) => /(?<!LICENSE)\.(node|bare|so|dylib|dll|exe)$/.test(name));
    expect(addons.filter((name) => !names.includes(name))).toEqual([]);
  });

  test("has a Node that its program starts, and the bundle of Linux", () => {
    expect(statSync(join(folder, "lib/node")).mode & 0o777).toBe(0o755);
    expect(statSync(join(folder, "bin/nexusd")).mode & 0o777).toBe(0o755);
    const linux = unpacked("linux-x64");
    const shared = (names: string[]) =>
      names.filter((name) => !/^(lib\/node$|LICENSE\.node$|lib\/nexusd\/node_modules\/)/.test(name)).sort();
    expect(shared(files)).toEqual(shared(filesOf(linux)));
    const differing = shared(files).filter(
      (name) => !readFileSync(join(folder, name)).equals(readFileSync(join(linux, name))),
    );
    expect(differing).toEqual([]);
    expect(existsSync(join(folder, "LICENSE.node"))).toBe(true);
  });
});

test("the script that the workflow runs on macOS serves, connects, refreshes, and stops, with the tarball of Linux", () => {
  const program = join(unpacked("linux-x64"), "bin/nexusd");
  const smoke = join(import.meta.dirname, "../../scripts/release/smoke.sh");
  // Its ports are free in a network of its own.
  const own = ["--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
  const shown = succeed("unshare", [...own, smoke, program]);
  expect(shown.trimEnd().split("\n").at(-1)).toBe("smoke.sh: served, connected, refreshed, and stopped");
});
