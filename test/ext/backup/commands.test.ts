import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";
import { FakeDaemon } from "../../cli/fake_daemon.js";
import { ended, fakeShell } from "../../cli/fake_shell.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";

const fresh = "fedcba9876543210";

describe("backup and restore", () => {
  const daemon = perTest(() => new FakeDaemon());

  it("backup writes all that came, for its owner only", async () => {
    const parts = [Buffer.from("one "), Buffer.from("two")];
    const sha256 = createHash("sha256").update("one two").digest("hex");
    daemon.api.backups = {
      async *createBackup() {
        yield {
          part: {
            case: "summary" as const,
            value: { sha256, bytes: 7n, keyIds: [fresh], verifiedRecords: 3n },
          },
        };
        for (const value of parts) yield { part: { case: "chunk" as const, value } };
      },
    };
    await daemon.start();
    const file = join(temporaryFolder(), "b");
    const shell = await ended(0, ["backup", file], fakeShell({ env: daemon.env }));
    expect(readFileSync(file, "utf8")).toBe("one two");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(shell.out()).toContain("3 sealed records were opened");
    expect(shell.out()).toContain(`${fresh}: not in the backup`);
    expect(await run(["backup", file], fakeShell({ env: daemon.env }))).toBe(2);
    expect(await run(["backup", join(file, "nowhere")], fakeShell({ env: daemon.env }))).toBe(1);
  });

  it.each([
    ["breaks off", true, "ab".repeat(32)],
    ["is not what the summary says", false, "ab".repeat(32)],
  ])("backup leaves nothing when it %s", async (_name, breaks, sha256) => {
    daemon.api.backups = {
      async *createBackup() {
        yield { part: { case: "summary" as const, value: { sha256 } } };
        yield { part: { case: "chunk" as const, value: Buffer.from("half") } };
        if (breaks) throw new ConnectError("gone", Code.Unavailable);
      },
    };
    await daemon.start();
    const folder = temporaryFolder();
    expect(await run(["backup", join(folder, "b")], fakeShell({ env: daemon.env }))).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("backup says which folder does not exist", async () => {
    daemon.api.backups = {
      createBackup: async function* () {
        yield { part: { case: "chunk", value: new Uint8Array(1) } };
      },
    };
    await daemon.start();
    const shell = await ended(1, ["backup", "/nodir/b"], fakeShell({ env: daemon.env }));
    expect(shell.err()).toBe("nexusd: cannot write the backup /nodir/b: the folder /nodir does not exist\n");
  });

  it("restore speaks of no second daemon where one holds the folder", async () => {
    const folder = temporaryFolder();
    const lock = lockDataFolder(folder);
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: folder } });
    expect(await run(["restore", import.meta.filename], shell)).not.toBe(0);
    lock.release();
    expect(shell.err()).toMatch(/is in use by process \d+: stop that nexusd first\n$/);
  });

  it("restore says what is no backup, and touches nothing", async () => {
    await daemon.start();
    const folder = temporaryFolder();
    const shell = await ended(
      12,
      ["restore", import.meta.filename],
      fakeShell({ env: { NEXUS_DATA_DIR: folder } }),
    );
    expect(shell.err()).toContain("is not a backup of nexusd");
    const missing = join(folder, "none");
    const other = await ended(1, ["restore", missing], fakeShell({ env: { NEXUS_DATA_DIR: folder } }));
    expect(other.err()).toContain(`${missing} cannot be read: there is no such file`);
    expect(existsSync(join(folder, "nexus.mdb"))).toBe(false);
  });
});
