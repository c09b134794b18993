import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { Postgres } from "../fakes/postgres.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";
import { has, needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { FrozenProvider } from "./frozen_provider.js";
import { callJson } from "./rpc.js";
import { callOf, type FrozenSettings, frozenSettings, writeKeys } from "./settings.js";
import { FrozenVersion, programOf, root } from "./version.js";

describe.each(FrozenVersion.all())("the fleet of $name", (version) => {
  const { fleet } = version.frozen;
  const postgres = perTest(async () => (has("postgresql") ? await Postgres.start() : ({} as Postgres)));
  const provider = perTest(() => FrozenProvider.start());

  function restore(): void {
    const sql = gunzipSync(readFileSync(version.file("fleet.sql.gz"))).toString();
    // Of the newest pg_dump and psql: older ones do not know them.
    const input = sql.replace(/^(SET transaction_timeout|\\(un)?restrict) .*$/gm, "");
    const args = ["--quiet", "--set=ON_ERROR_STOP=1", "--dbname", postgres.url()];
    execFileSync("psql", args, { input, stdio: ["pipe", "ignore", "inherit"] });
  }

  /** Each with a folder of its own, which copies the fleet's store. */
  async function settingsOfHub(): Promise<FrozenSettings> {
    const folder = join(temporaryFolder(), "hub");
    const settings = {
      ...(await frozenSettings(folder)),
      NEXUS_BROWSER_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_STORE: postgres.url(),
      NEXUS_FLEET_LISTEN: `127.0.0.1:${await freePort()}`,
    };
    writeKeys(settings);
    writeFileSync(settings.NEXUS_POLICY_FILE, "bindings: []\n");
    return settings;
  }

  function start(program: readonly string[], settings: FrozenSettings, ...args: string[]): DaemonProcess {
    const daemon = new DaemonProcess(settings, args.length === 0 ? ["serve"] : args, [], program);
    onTestFinished(async () => void (await daemon.kill("SIGKILL")));
    return daemon;
  }

  async function done(...command: [program: readonly string[], settings: FrozenSettings, ...args: string[]]) {
    const daemon = start(...command);
    expect([await daemon.exited, daemon.output]).toEqual([0, expect.any(String)]);
  }

  const revision = async (settings: FrozenSettings): Promise<unknown> => {
    const url = `http://${settings.NEXUS_HTTP_LISTEN}`;
    const { token } = await callJson(url, fleet.key, "TokenService/GetToken", {
      connectionId: fleet.connectionId,
    });
    return (token as { revision?: string }).revision;
  };

  it("is migrated, served by hubs of both versions, and excludes the older ones after that", async (context) => {
    needs(context, "postgresql");
    restore();
    const [here, there] = [await settingsOfHub(), await settingsOfHub()];
    await done(programOf(root), here, "fleet", "migrate");
    const newer = start(programOf(root), here);
    await newer.ready();
    const first = Number(await revision(here));
    await callOf(here)("ConnectionService/RefreshConnection", { connectionId: fleet.connectionId });
    await expect.poll(() => revision(here)).toBe(String(first + 1));
    expect(provider.refreshes.at(-1)).toMatch(/frozen-refresh-\d+-\d+$/);
    const older = start(version.program(), there);
    await older.ready();
    await expect.poll(() => revision(there)).toBe(String(first + 1));
    await older.kill("SIGTERM");
    if (version.frozen.version !== "0.1.0") return;
    // A hub that ended well is not waited for.
    await expect
      .poll(async () => await start(programOf(root), here, "fleet", "migrate", "--contract").exited, {
        timeout: 90_000,
      })
      .toBe(0);
    const again = start(version.program(), there);
    expect(await again.exited).toBe(15);
    expect(again.output).toContain("takes hubs of layout 3 or newer");
    expect(await revision(here)).toBe(String(first + 1));
  });

  it("does what either hub is asked, whichever leads, and passes the lead on", async (context) => {
    needs(context, "postgresql");
    restore();
    const [here, there] = [await settingsOfHub(), await settingsOfHub()];
    await done(programOf(root), here, "fleet", "migrate");
    const older = start(version.program(), there);
    await older.ready();
    await start(programOf(root), here).ready();
    const leaderAt = async (settings: FrozenSettings) =>
      ((await callOf(settings)("StatusService/GetStatus", {}))["fleet"] as { leader?: string }).leader;
    const bothAreLedBy = async ({ NEXUS_FLEET_LISTEN: leader }: FrozenSettings) => {
      for (const each of [here, there]) await expect.poll(() => leaderAt(each)).toBe(leader);
    };
    const refreshed = async (at: FrozenSettings, known: number): Promise<void> => {
      await callOf(at)("ConnectionService/RefreshConnection", { connectionId: fleet.connectionId });
      for (const each of [here, there]) await expect.poll(() => revision(each)).toBe(String(known + 1));
    };
    const first = Number(await revision(there));
    await bothAreLedBy(there);
    await refreshed(here, first);
    // Once the other hub was seen.
    await expect.poll(() => callOf(there)("FleetService/StepDown", {})).toEqual(expect.any(Object));
    expect(await older.exited).toBe(75);
    await start(version.program(), there).ready();
    await bothAreLedBy(here);
    await refreshed(there, first + 1);
    const name = "of-the-other-hub";
    const restriction = { userIds: ["ada"] };
    await callOf(there)("AccessService/CreateApiKey", { name, role: "ROLE_AGENT", restriction });
    const { apiKeys } = await callOf(here)("AccessService/ListApiKeys", {});
    expect(apiKeys).toContainEqual(expect.objectContaining({ name }));
    const { refreshes } = provider;
    expect(refreshes.length).toBeGreaterThanOrEqual(2);
    expect(new Set(refreshes).size).toBe(refreshes.length);
    const { firstBadSequence } = await callOf(here)("AuditService/VerifyAuditLog", {});
    expect(firstBadSequence ?? "0").toBe("0");
  });
});
