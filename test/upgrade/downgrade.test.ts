import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Store } from "../../src/store/store.js";
import { forms, storeRecordOf, writeStoreRecord } from "../../src/store/store_record.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Place } from "../daemon/harness.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { perTest } from "../lifetimes.js";
import { FrozenFolder } from "./frozen_world.js";
import { FrozenVersion, programOf, root } from "./version.js";

/** What a version writes with a limit that older ones would ignore. */
async function writeForm(folder: string, schemaVersion: number): Promise<void> {
  const store = Store.open({ folder, nowMs: Date.now() });
  await store.commit((tx) =>
    tx.raw((databases) => writeStoreRecord(databases, { ...storeRecordOf(databases), schemaVersion })),
  );
  await store.close();
}

/** The SHA-256 of each file that is kept. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => !/lock$|\.sock$/.test(name));
  const digest = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name, digest(name)]));
}

describe.each(FrozenVersion.all())("$name, on a folder that a newer version wrote", (version) => {
  const { frozen } = version;
  const folder = perTest(() => FrozenFolder.of(version));
  const start = (program: readonly string[]) => {
    const daemon = new DaemonProcess(folder.settings, ["serve"], [], program);
    onTestFinished(async () => void (await daemon.kill("SIGKILL")));
    return daemon;
  };
  const newer = async (write: () => Promise<unknown> = async () => {}) => {
    const daemon = start(programOf(root));
    await daemon.ready();
    await write();
    await daemon.kill("SIGTERM");
  };

  it("goes on with it while it has nothing that it would ignore", async () => {
    const { provider, settings } = folder;
    provider.down.add("/revoke");
    await newer(() =>
      folder.call("ConnectionService/RevokeConnection", { connectionId: frozen.connections["bea"] }),
    );
    const daemon = start(version.program());
    await daemon.ready();
    const token = async (user: string) =>
      await folder.call("TokenService/GetToken", { connectionId: frozen.connections[user] });
    expect(await token("ada")).toMatchObject({ token: { credentials: {} } });
    expect(await token("weather")).toMatchObject({ token: { credentials: { api_key: "frozen-api-key" } } });
    const { firstBadSequence } = await folder.call("AuditService/VerifyAuditLog", {});
    expect(firstBadSequence ?? "0").toBe("0");
    await daemon.kill("SIGTERM");
    provider.down.clear();
    provider.requests.length = 0;
    const again = await (await Place.make(settings)).start(new ManualClock(Date.now() + 7_200_000));
    onTestFinished(() => again.stop());
    const revoked = () => provider.at("/revoke").map(({ params }) => params["token"] ?? "");
    await expect.poll(revoked).toContainEqual(expect.stringMatching(/^frozen-refresh-2-\d+$/));
  });

  it("refuses it by name once it would ignore a limit, and leaves it as it is", async () => {
    const { NEXUS_DATA_DIR: path } = folder.settings;
    const restriction = { userIds: ["*"], labels: ["work"], methods: ["GET"] };
    await newer(() =>
      folder.call("AccessService/CreateApiKey", { name: "limited", role: "ROLE_AGENT", restriction }),
    );
    // The candidate knows every limit that there is, so it gets a form of a version to come.
    if (version.capabilities.accessLimits) await writeForm(path, Math.max(...Object.values(forms)) + 1);
    const before = filesOf(path);
    expect(Object.keys(before)).toEqual(expect.arrayContaining(["nexus.mdb", "encryption.key", "spool.bin"]));
    const daemon = start(version.program());
    expect(await daemon.exited).toBe(12);
    expect(daemon.output).toContain(join(path, "nexus.mdb"));
    expect(filesOf(path)).toEqual(before);
  });
});
