import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  BackupDamaged,
  backupHeaderBytes,
  decodeBackupHeader,
  digestFile,
  encodeBackupHeader,
} from "../../../src/ext/backup/backup_file.js";
import { sealed } from "../../samples.js";
import { temporaryFolder } from "../../temporary_folder.js";

const manifest = {
  databaseId: "d",
  createdAtMs: 1,
  bytes: 10,
  sha256: "ab".repeat(32),
  keyIds: ["0123456789abcdef"],
  providers: 1,
  connections: 2,
  verifiedRecords: 3,
  unreadableRecords: 0,
};

describe("the header of a backup", () => {
  const seal = { ...sealed("manifest"), layout: 1 };
  const header = encodeBackupHeader({ manifest, seal });

  it("is a block of text that is read back", () => {
    expect(header.length).toBe(backupHeaderBytes);
    expect(header.toString("utf8")).toMatch(/^nexusd backup 1\n\{.*\}\n +\n$/);
    const read = decodeBackupHeader(header);
    expect(read.manifest).toEqual(manifest);
    expect(Buffer.from(read.seal.ciphertext)).toEqual(Buffer.from(seal.ciphertext));
  });

  it.each([
    ["another file", Buffer.alloc(backupHeaderBytes, "x"), "is not a backup of nexusd"],
    ["a short file", header.subarray(0, 100), "is not a backup of nexusd"],
    [
      "a newer form",
      Buffer.from(header.toString("latin1").replace("backup 1", "backup 2"), "latin1"),
      'reads "nexusd backup 1"',
    ],
    [
      "broken JSON",
      Buffer.from(header.toString("latin1").replace("{", "["), "latin1"),
      "has a damaged header",
    ],
    [
      "no length",
      Buffer.from(header.toString("latin1").replace('"bytes":10', '"bytes":"x'), "latin1"),
      "has a damaged header",
    ],
  ])("refuses %s", (_name, bytes, message) => {
    expect(() => decodeBackupHeader(bytes)).toThrow(BackupDamaged);
    expect(() => decodeBackupHeader(bytes)).toThrow(message);
  });

  it("is part of the digest of the whole file", async () => {
    const path = join(temporaryFolder(), "file");
    writeFileSync(path, "bc");
    // SHA-256 of "abc", FIPS 180-2 appendix B.1.
    expect(await digestFile(path, Buffer.from("a"))).toEqual({
      sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      bytes: 3,
    });
  });
});
