import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { CredentialVault, clientSecretPlace } from "../../../../src/domain/connections/credential_vault.js";
import { adoptPrimary, openKeyCheck } from "../../../../src/domain/operations/key_check.js";
import { KeyRing } from "../../../../src/domain/operations/key_ring.js";
import { BackupMaker } from "../../../../src/ext/backup/backup_maker.js";
import { restoreStore } from "../../../../src/ext/backup/restore.js";
import type { ReplicaStore } from "../../../../src/ext/fleet/replication/replica_store.js";
import { KeyRotation } from "../../../../src/ext/keyring/key_rotation.js";
import { KeyringManager } from "../../../../src/ext/keyring/keyring_manager.js";
import { owner } from "../../../../src/model/access/principal.js";
import { Changes } from "../../../../src/runtime/changes.js";
import { Secret } from "../../../../src/runtime/secret.js";
import { Vault } from "../../../../src/vault/vault.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { aProfile, nowMs } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Fleet } from "./fleet.js";

const [one, two] = [1, 2].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer];
const [oneId, twoId] = [one, two].map((key) => new Vault(key).keyId) as [string, string];
const clock = new ManualClock(nowMs);
const readerOf = (keys: readonly Buffer[]) => async () => keys.map((key) => Buffer.from(key));

/** What a hub has of its keys, whose source the test plays. */
function hub(store: ReplicaStore, keys: readonly Buffer[]) {
  const ring = new Vault(keys);
  const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
  const changes = new Changes();
  store.onApplied((applied) => changes.emit("followed", applied));
  const source = {
    ...({ kind: "command", path: undefined } as const),
    ...{ read: readerOf(keys), add: () => "", remove: () => undefined },
  };
  const parts = { store, ring, vault, changes, source, clock, log: silentLog };
  const rotation = new KeyRotation(parts);
  onTestFinished(() => rotation.stop());
  const keyring = new KeyringManager({ ...parts, rotation, keyring: new KeyRing(parts) });
  const backups = new BackupMaker({ ...parts, folder: temporaryFolder() });
  return { ring, vault, source, rotation, keyring, backups };
}

/** A leader, and a follower with a ring of its own; both have the first key as their primary. */
async function aFleet(keys: readonly Buffer[]) {
  const fleet = await Fleet.make(1);
  const [leader, follower] = [hub(fleet.leader, [one, two]), hub(fleet.followers[0] as ReplicaStore, keys)];
  await openKeyCheck(fleet.leader, new Vault(one));
  leader.ring.usePrimary(oneId);
  const profile = aProfile({ id: "p" });
  const clientSecret = leader.vault.sealToken(clientSecretPlace(profile), new Secret("s"));
  await fleet.leader.commit((tx) => tx.putProvider({ ...profile, clientSecret }));
  await fleet.feed();
  adoptPrimary(fleet.followers[0] as ReplicaStore, follower.ring);
  const rotate = async (): Promise<void> => {
    await leader.keyring.rotate(twoId, owner);
    await leader.rotation.settled();
    await fleet.feed();
  };
  return { follower, rotate };
}

const made = ({ backups }: ReturnType<typeof hub>, allowUnreadable = false) =>
  backups.make({ allowUnreadable, principal: owner }, new AbortController().signal);

it("a follower seals with the key to which the fleet rotates, and its backup opens without the old one", async () => {
  const { follower, rotate } = await aFleet([one, two]);
  expect(follower.ring.keyId).toBe(oneId);
  await rotate();
  expect(follower.keyring.state().keys).toEqual([
    { keyId: oneId, isPrimary: false, records: 0 },
    { keyId: twoId, isPrimary: true, records: 1 },
  ]);
  const backup = await made(follower);
  expect(backup.manifest.keyIds).toEqual([twoId]);
  const file = join(temporaryFolder(), "backup");
  for await (const chunk of backup.chunks()) writeFileSync(file, chunk, { flag: "a" });
  const restored = { dataDir: temporaryFolder(), file, force: false, clock, tables: [] };
  await expect(restoreStore({ ...restored, keys: { read: readerOf([two]) } })).resolves.toBeDefined();
});

it("a follower whose ring comes to lack the old key takes the new one with it", async () => {
  const { follower, rotate } = await aFleet([one]);
  await rotate();
  expect(follower.ring.keyId).toBe(oneId);
  follower.source.read = readerOf([two]);
  await follower.keyring.reload();
  expect([follower.ring.keyId, follower.ring.keyIds]).toEqual([twoId, [twoId]]);
});

it("the backup of a follower that lacks the new key names both", async () => {
  const { follower, rotate } = await aFleet([one]);
  await rotate();
  expect((await made(follower, true)).manifest.keyIds).toEqual([oneId, twoId]);
});
