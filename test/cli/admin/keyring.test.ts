import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { KeySource } from "../../../src/gen/nexus/v1/keyring_pb.js";
import { lockDataFolder } from "../../../src/store/files/data_folder.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

const [old, fresh] = ["0123456789abcdef", "fedcba9876543210"] as const;
const ring = (remaining: bigint, rotating: boolean, unreadable = 0n) => ({
  keyring: {
    source: KeySource.FILE,
    path: "/run/keys",
    keys: [
      { keyId: old, primary: false, records: remaining },
      { keyId: fresh, primary: true, records: 9n - remaining },
    ],
    rotating,
    remaining,
    unreadable,
  },
});

describe("keyring and backup", () => {
  const daemon = perTest(() => new FakeDaemon());

  it("rotate shows how far it is, and the ring at the end", async () => {
    const steps = [ring(5n, true), ring(0n, false)];
    const shell = fakeShell({ env: daemon.env });
    daemon.keyringApi = {
      rotateKeyring: () => ring(9n, true),
      getKeyring: () => steps.shift() ?? ring(0n, false),
    };
    await daemon.start();
    const ended = run(["keyring", "rotate"], shell);
    while (!shell.err().includes("9 records to go")) await new Promise((resolve) => setImmediate(resolve));
    shell.clock.advance(1_000);
    while (!shell.err().includes("5 records to go")) await new Promise((resolve) => setImmediate(resolve));
    shell.clock.advance(1_000);
    expect(await ended).toBe(0);
    expect(shell.out()).toBe(
      `source  file /run/keys\nKEY               USE      RECORDS\n${old}           0\n${fresh}  primary  9\n`,
    );
  });

  it("rotate ends with 1 when records stay behind, and says what that means", async () => {
    daemon.keyringApi = { rotateKeyring: () => ring(1n, false, 1n) };
    await daemon.start();
    const shell = fakeShell({ env: daemon.env });
    expect(await run(["keyring", "rotate", "--to", fresh], shell)).toBe(1);
    expect(shell.err()).toContain("the old one can be retired");
  });

  it("retire asks a person first, and tells who must remove a key that lies in no file", async () => {
    daemon.keyringApi = { retireKey: () => ({ removedFromSource: false }) };
    await daemon.start();
    const asked = fakeShell({ env: daemon.env, answers: ["n"] });
    expect(await run(["keyring", "retire", old], asked)).toBe(1);
    expect(daemon.got("RetireKey")).toEqual([]);
    const script = fakeShell({ env: daemon.env });
    expect(await run(["keyring", "retire", old, "--yes"], script)).toBe(0);
    expect(script.out()).toContain("remove it from where the keys come from");
    const wrong = fakeShell({ env: daemon.env });
    expect(await run(["keyring", "retire", "my key"], wrong)).toBe(2);
  });

  it("takes the beginning of a key's id, and asks with the whole of it", async () => {
    daemon.keyringApi = { getKeyring: () => ring(0n, false), retireKey: () => ({ removedFromSource: true }) };
    await daemon.start();
    const asked = fakeShell({ env: daemon.env, answers: ["y"] });
    expect(await run(["keyring", "retire", "0123"], asked)).toBe(0);
    expect(asked.questions[0]?.question).toContain(`Backups made with key ${old} need it still.`);
    expect(daemon.got("RetireKey")).toMatchObject([{ keyId: old }]);
    const unknown = fakeShell({ env: daemon.env });
    expect(await run(["keyring", "retire", "abcd", "--yes"], unknown)).toBe(2);
    expect(unknown.err()).toContain("no key of the ring begins with abcd");
    expect(await run(["keyring", "retire", "012", "--yes"], fakeShell({ env: daemon.env }))).toBe(2);
  });

  it("backup writes all that came, for its owner only", async () => {
    const parts = [Buffer.from("one "), Buffer.from("two")];
    const sha256 = createHash("sha256").update("one two").digest("hex");
    daemon.backupApi = {
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
    const shell = fakeShell({ env: daemon.env });
    expect(await run(["backup", file], shell)).toBe(0);
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
    daemon.backupApi = {
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
    daemon.backupApi = {
      createBackup: async function* () {
        yield { part: { case: "chunk", value: new Uint8Array(1) } };
      },
    };
    await daemon.start();
    const shell = fakeShell({ env: daemon.env });
    expect(await run(["backup", "/nodir/b"], shell)).toBe(1);
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
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: folder } });
    expect(await run(["restore", import.meta.filename], shell)).toBe(12);
    expect(shell.err()).toContain("is no backup of nexusd");
    expect(await run(["restore", join(folder, "none")], fakeShell({ env: { NEXUS_DATA_DIR: folder } }))).toBe(
      1,
    );
    expect(existsSync(join(folder, "nexus.mdb"))).toBe(false);
  });
});
