import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { daemonAuthority } from "../../../../src/ext/egress/listener/daemon_authority.js";
import { Changes } from "../../../../src/runtime/changes.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Vault } from "../../../../src/vault/vault.js";
import { perTest } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const [oldKey, newKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

describe("the authority of a daemon", () => {
  const world = perTest(() => {
    const dataDir = temporaryFolder();
    const changes = new Changes();
    const start = async (vault: Vault, databaseId = "one") => {
      const own = { files: undefined, clock: new SystemClock(), log: silentLog };
      return (await daemonAuthority({ ...own, dataDir, vault, databaseId, changes })).pem;
    };
    return { start, changes, file: (name: string) => join(dataDir, name) };
  });

  it("is the same at the next start, its key sealed and its owner's alone", async () => {
    const { start, file } = world;
    const pem = await start(new Vault(oldKey));
    expect(readFileSync(file("egress-ca.key"), "latin1")).not.toContain("PRIVATE");
    expect(statSync(file("egress-ca.key")).mode & 0o777).toBe(0o600);
    expect(readFileSync(file("egress-ca.pem"), "utf8")).toBe(pem);
    expect(await start(new Vault(oldKey))).toBe(pem);
  });

  it("outlives the key that sealed it, when the store has gone on to another while it ran", async () => {
    const { start, changes } = world;
    const ring = new Vault([oldKey, newKey]);
    ring.usePrimary(ring.keyIds[0] ?? "");
    const pem = await start(ring);
    ring.usePrimary(ring.keyIds[1] ?? "");
    changes.emit("ring");
    expect(await start(new Vault(newKey))).toBe(pem);
  });

  it.each([
    ["its key is of another store, as after a restore", () => "two"],
    ["its file is cut off", (file: string) => void writeFileSync(file, readFileSync(file).subarray(0, 9))],
    ["its certificate is gone", (file: string) => rmSync(file.replace(".key", ".pem"))],
  ])("is made anew, and what was there is kept, when %s", async (_, harm) => {
    const { start, file } = world;
    const pem = await start(new Vault(oldKey));
    const databaseId = harm(file("egress-ca.key")) ?? undefined;
    const next = await start(new Vault(oldKey), databaseId);
    expect(next).not.toBe(pem);
    expect(existsSync(file("egress-ca.key.old"))).toBe(true);
    expect(await start(new Vault(oldKey), databaseId)).toBe(next);
  });
});
