import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { FrozenFolder } from "./frozen_world.js";
import { callJson } from "./rpc.js";
import { FrozenVersion, programOf, root } from "./version.js";

type Program = readonly string[];

describe.each(FrozenVersion.all())("a spoke and a hub, one of them of $name", (version) => {
  const hub = perTest(() => FrozenFolder.of(version));
  const ada = version.frozen.connections["ada"] ?? "";

  async function started(program: Program, settings: NodeJS.ProcessEnv): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(settings, ["serve"], [], program);
    onTestFinished(async () => void (await daemon.kill("SIGKILL")));
    await daemon.ready();
    return daemon;
  }

  /** Of a spoke that the hub knows by an API key for all users. */
  async function spokeSettings() {
    const folder = temporaryFolder();
    const restriction = { userIds: ["*"] };
    const asked = { name: "spoke", role: "ROLE_AGENT", restriction };
    const { key } = await hub.call("AccessService/CreateApiKey", asked);
    const adminKey = join(folder, "admin.key");
    writeFileSync(adminKey, `${spokeAdmin}\n`, { mode: 0o600 });
    const token = join(folder, "token");
    writeFileSync(token, String(key), { mode: 0o600 });
    return {
      NEXUS_DATA_DIR: join(folder, "data"),
      NEXUS_ADMIN_KEY_FILE: adminKey,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
      NEXUS_OPS_LISTEN: "off",
      NEXUS_CONSOLE_LISTEN: "off",
      NEXUS_LOG_FORMAT: "json",
      NEXUS_UPSTREAM: `http://${hub.settings.NEXUS_HTTP_LISTEN}`,
      NEXUS_UPSTREAM_TOKEN_FILE: token,
    };
  }
  const spokeAdmin = "nxk_this-is-the-admin-key-of-a-spoke-of-a-test";
  type Spoke = Awaited<ReturnType<typeof spokeSettings>>;

  const callAt = (spoke: Spoke, rpc: string, request: object) =>
    callJson(`http://${spoke.NEXUS_HTTP_LISTEN}`, spokeAdmin, rpc, request);
  const tokenAt = async (spoke: Spoke, connectionId = ada) => {
    const { token } = await callAt(spoke, "TokenService/GetToken", { connectionId });
    return (token as { credentials: Record<string, string> }).credentials;
  };
  const tokenAtHub = async () => {
    const { token } = await hub.call("TokenService/GetToken", { connectionId: ada });
    return (token as { credentials: Record<string, string> }).credentials;
  };

  /** What a spoke copies, and what it hears of. */
  async function copies(spoke: Spoke): Promise<void> {
    await expect.poll(() => tokenAt(spoke)).toEqual(await tokenAtHub());
    const machine = await tokenAt(spoke, version.frozen.connections["robot"]);
    expect(machine).toEqual({ access_token: "frozen-machine" });
    const before = await tokenAt(spoke);
    await hub.call("ConnectionService/RefreshConnection", { connectionId: ada });
    await expect.poll(() => tokenAt(spoke)).not.toEqual(before);
    expect(await tokenAt(spoke)).toEqual(await tokenAtHub());
  }

  /** What its hub does for it. */
  async function forwards(spoke: Spoke): Promise<void> {
    const { token } = await callAt(spoke, "TokenService/RefreshToken", { connectionId: ada });
    expect(token).toMatchObject({ credentials: await tokenAtHub() });
    await expect.poll(() => tokenAt(spoke)).toEqual(await tokenAtHub());
    const asked = { providerName: "acme", userId: "zoe" };
    const { consent } = await callAt(spoke, "TokenService/AcquireToken", asked);
    const authUrl = expect.stringMatching(`^${hub.settings["NEXUS_PUBLIC_URL"]}/`);
    expect(consent).toMatchObject({ authUrl });
  }

  it("serves and forwards while its hub is upgraded, and when it is upgraded after it", async () => {
    const older = await started(version.program(), hub.settings);
    const settings = await spokeSettings();
    const spoke = await started(version.program(), settings);
    await copies(settings);
    await forwards(settings);
    await older.kill("SIGTERM");
    const newer = await started(programOf(root), hub.settings);
    await copies(settings);
    // The checkout before 1.0 names its callers otherwise.
    if (version.frozen.version === "0.1.0")
      await expect(forwards(settings)).rejects.toThrow("x-nexus-caller");
    else await forwards(settings);
    await newer.kill("SIGTERM");
    const last = await tokenAt(settings);
    expect(last).toHaveProperty("access_token");
    await spoke.kill("SIGTERM");
    await started(programOf(root), settings);
    expect(await tokenAt(settings)).toEqual(last);
    await started(programOf(root), hub.settings);
    await copies(settings);
    await forwards(settings);
  });

  it("of this checkout, serves and forwards beside the hub", async () => {
    await started(version.program(), hub.settings);
    const settings = await spokeSettings();
    await started(programOf(root), settings);
    await copies(settings);
    await forwards(settings);
  });
});
