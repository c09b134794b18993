import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupMaker } from "../../../src/ext/backup/backup_maker.js";
import { Vault } from "../../../src/vault/vault.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";
import { temporaryFolder } from "../../temporary_folder.js";

it("a start removes what a crash left, and no backup that a person keeps in the data folder", () => {
  const folder = temporaryFolder();
  const left = ["backup-Ab3xYz", "restore-0aZ9qQ"].map((name) => join(folder, name));
  for (const path of left) {
    mkdirSync(path);
    writeFileSync(join(path, "nexus.mdb"), "half a copy");
  }
  const kept = ["backup-2026-11-24.nexus", "backup-nov.24", "backup-monday", "restore-point"];
  for (const name of kept) writeFileSync(join(folder, name), "a backup of somebody");
  mkdirSync(join(folder, "backup-archive"));
  writeFileSync(join(folder, "backup-Monday"), "a name of just that length");
  new BackupMaker({
    store: openStore(),
    ring: new Vault(Buffer.alloc(32, 1)),
    folder,
    clock: new ManualClock(0),
    log: silentLog,
  }).removeLeft();
  for (const path of left) expect(existsSync(path)).toBe(false);
  for (const name of [...kept, "backup-archive", "backup-Monday"])
    expect(existsSync(join(folder, name)), name).toBe(true);
});
