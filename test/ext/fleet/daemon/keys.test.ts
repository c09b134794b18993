import { randomBytes } from "node:crypto";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { failureOf } from "../../../daemon/errors.js";
import { registered } from "../../../daemon/requests.js";
import { needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { type HubProcess, Hubs } from "./hubs.js";

it("a key is rotated to when every hub holds it, and not before", async (context) => {
  needs(context, "postgresql");
  const folder = temporaryFolder();
  const key = `${randomBytes(32).toString("base64")}\n`;
  // A ring of its own for each hub, as where they come from different machines.
  const ringOf = (index: number): string => join(folder, `ring-${index}`);
  for (const index of [0, 1]) writeFileSync(ringOf(index), key, { mode: 0o600 });
  const hubs = await Hubs.start({
    count: 2,
    environment: { NEXUS_ENCRYPTION_KEY: undefined },
    own: (index) => ({ NEXUS_ENCRYPTION_KEY_FILE: ringOf(index) }),
  });
  try {
    const leader = await hubs.leader();
    const follower = hubs.all.find((hub) => hub !== leader) as HubProcess;
    const members = async () => (await leader.clients.status.getStatus({})).fleet?.members.length;
    await expect.poll(members, { timeout: 20_000 }).toBe(2);
    const urls = { authUrl: "https://acme.example/authorize", tokenUrl: "https://acme.example/token" };
    const secret = { clientId: "the-client", clientSecret: "sealed-with-the-first-key" };
    await registered(follower.clients, { name: "acme", ...urls, ...secret } as never);
    const { keyId } = await follower.clients.keyring.addKey({});

    const refused = await failureOf(follower.clients.keyring.rotateKeyring({ keyId }));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "KEY_SOURCE" });
    expect(refused.message).toContain(
      `not every hub holds key ${keyId}: give it to ${follower.address} first`,
    );
    // As soon as the leader's next heartbeat names its new key.
    const told = () => hubs.command("fleet");
    await expect.poll(told, { timeout: 20_000 }).toContain(`${follower.address} lacks key ${keyId}`);

    // The one that has it gives it to the other, which finds it by itself.
    copyFileSync(ringOf(hubs.all.indexOf(leader)), ringOf(hubs.all.indexOf(follower)));
    const rotated = () =>
      follower.clients.keyring.rotateKeyring({ keyId }).then(
        () => "rotates",
        () => "refused",
      );
    await expect.poll(rotated, { timeout: 30_000 }).toBe("rotates");
    for (const { clients } of hubs.all) {
      const sealed = async () => {
        const { keyring } = await clients.keyring.getKeyring({});
        return keyring?.keys.map((each) => [each.keyId === keyId && each.primary, each.records > 0n]);
      };
      await expect.poll(sealed).toEqual([
        [false, false],
        [true, true],
      ]);
    }
  } finally {
    await hubs.close();
  }
}, 120_000);
