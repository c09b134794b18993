import { join } from "node:path";
import { expect, it } from "vitest";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { registered } from "../../../daemon/requests.js";
import { needs } from "../../../needs.js";
import { sweptFolder } from "../../../run_folder.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Hubs } from "./hubs.js";

it("a backup of a hub becomes the fleet's store again, and every hub copies it", async (context) => {
  needs(context, "postgresql");
  const hubs = await Hubs.start({ count: 2 });
  try {
    const leader = await hubs.leader();
    const strategy = {
      kind: { case: "header" as const, value: { headerName: "X-Key", credentialField: "key" } },
    };
    const providerId = await registered(leader.clients, {
      name: "acme",
      authType: AuthType.HEADER,
      strategy,
    });
    const imported = async (userId: string): Promise<string> => {
      const request = { userId, providerId, credentials: { key: `of-${userId}` } };
      return (await leader.clients.connections.importConnection(request)).connection?.id ?? "";
    };
    const ada = await imported("ada");
    const backup = join(temporaryFolder(), "nexus.backup");
    await hubs.command("backup", backup);
    const bob = await imported("bob");

    await Promise.all(hubs.all.map(({ daemon }) => daemon.kill("SIGTERM")));
    await hubs.postgres.query("DROP SCHEMA nexus CASCADE");
    const folder = sweptFolder();
    const alone = { ...hubs.all[0]?.environment, NEXUS_DATA_DIR: folder };
    for (const args of [
      ["restore", backup],
      ["fleet", "init", "--from", folder],
    ]) {
      const command = new DaemonProcess(alone, args);
      expect([await command.exited, command.output]).toEqual([0, expect.anything()]);
    }
    await Promise.all(hubs.all.map((hub) => hub.start()));
    await hubs.leader();

    for (const { clients, daemon } of hubs.all) {
      expect(daemon.output).toContain(
        "newer tokens of what the database lost are left for the hub that leads",
      );
      const { token } = await clients.tokens.getToken({ connectionId: ada });
      expect(token?.credentials).toEqual({ key: "of-ada" });
      const listed = (await clients.connections.listConnections({})).connections.map(({ id }) => id);
      expect(listed).not.toContain(bob);
    }
  } finally {
    await hubs.close();
  }
}, 120_000);
