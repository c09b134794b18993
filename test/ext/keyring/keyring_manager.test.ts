import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  CredentialVault,
  clientKeyPlace,
  clientSecretPlace,
  importPlace,
  registrationPlace,
  revocationPlace,
} from "../../../src/domain/connections/credential_vault.js";
import { openKeyCheck } from "../../../src/domain/operations/key_check.js";
import { KeyRing } from "../../../src/domain/operations/key_ring.js";
import { sealedPages, sealedPlaceOf } from "../../../src/domain/operations/sealed_records.js";
import { KeyRotation } from "../../../src/ext/keyring/key_rotation.js";
import { KeyringManager } from "../../../src/ext/keyring/keyring_manager.js";
import { owner } from "../../../src/model/access/principal.js";
import { Changes } from "../../../src/runtime/changes.js";
import { Secret } from "../../../src/runtime/secret.js";
import { sealedKinds } from "../../../src/store/indexes/sealed_walk.js";
import type { Store } from "../../../src/store/store.js";
import { KeyError } from "../../../src/vault/key_file.js";
import { Vault } from "../../../src/vault/vault.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { aConnection, aProfile, nowMs, pending, stateHash } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

const [one, two] = [1, 2].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer];
const [oneId, twoId] = [one, two].map((key) => new Vault(key).keyId) as [string, string];

describe("KeyringManager", () => {
  let store: Store;
  let keys: Buffer[];
  let rotations: KeyRotation[];
  beforeEach(async () => {
    store = openStore();
    keys = [one];
    rotations = [];
    await openKeyCheck(store, new Vault(one));
  });
  afterEach(() => Promise.all(rotations.map((rotation) => rotation.stop())));

  /** One life of a daemon. */
  const life = (ring = new Vault(keys)) => {
    ring.usePrimary(store.keyCheck?.keyId ?? "");
    const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
    const changes = new Changes();
    const parts = { store, ring, vault, changes, clock: new ManualClock(nowMs), log: silentLog };
    const rotation = new KeyRotation(parts);
    rotations.push(rotation);
    const source = {
      kind: "file" as const,
      path: "/ring",
      read: async () => keys.map((key) => Buffer.from(key)),
      add: () => {
        keys = [...keys, two];
        return twoId;
      },
      remove: (keyId: string) => {
        keys = keys.filter((key) => new Vault(key).keyId !== keyId);
      },
    };
    const keyring = new KeyRing({ ...parts, source });
    const manager = new KeyringManager({ ...parts, source, rotation, keyring });
    return { ring, vault, rotation, source, manager };
  };

  /** One record of every kind. */
  const fill = (vault: CredentialVault): Promise<void> => {
    const profile = aProfile({ id: "p" });
    const active = aConnection({ id: "c", providerId: "p", status: "active", credentialRevision: 3n });
    const asked = pending("c", { providerId: "p" });
    const revocation = { id: "r", connectionId: "c", providerId: "p", revision: 2n };
    const imported = { connectionId: "d", providerId: "p", label: "", startedAtMs: nowMs };
    const token = new Secret("token");
    const registered = {
      ...({ kind: "dynamic", issuer: "https://login.example", registeredAtMs: nowMs } as const),
      ...{ secretExpiresAtMs: undefined, configurationUrl: "https://login.example/register/c" },
    };
    return store.commit((tx) => {
      const clientSecret = vault.sealToken(clientSecretPlace(profile), token);
      const accessToken = vault.sealToken(registrationPlace(profile.id, registered.registeredAtMs), token);
      tx.putProvider({ ...profile, clientSecret, registration: { ...registered, accessToken } });
      tx.putConnection(active);
      tx.putCredential("c", vault.sealFields(active, 3n, { api_key: token }));
      const sealed = vault.sealAuthorization(stateHash(1), asked, {
        codeVerifier: "v",
        nonce: undefined,
        state: "",
        browserBinding: "b",
      });
      tx.putAuthorization(stateHash(1), { ...asked, sealed });
      tx.revocations.put({
        ...revocation,
        tokenTypeHint: "refresh_token",
        attempts: 0,
        createdAtMs: nowMs,
        nextAttemptMs: nowMs,
        sealed: vault.sealToken(revocationPlace(revocation.id, revocation), token),
      });
      const key = "ab".repeat(32);
      tx.putImport(key, {
        ...imported,
        userId: "u",
        scopes: [],
        principal: owner,
        sealed: vault.sealToken(importPlace(key, imported), token),
      });
      const clientKey = { kid: "k", createdAtMs: nowMs };
      tx.clientKeys.put({
        ...{ ...clientKey, type: "P-256", signsFromMs: nowMs, endsAtMs: undefined },
        sealed: vault.sealToken(clientKeyPlace(clientKey.kid, clientKey.createdAtMs), token),
      });
    });
  };

  it("seals every kind of record anew, tells no watcher, and lets the old key go", async () => {
    const { manager, vault, rotation, ring } = life();
    await fill(vault);
    const revision = store.revision;
    await expect(manager.rotate(undefined, owner)).rejects.toMatchObject({ reason: "NO_OTHER_KEY" });
    expect(await manager.add(owner)).toBe(twoId);
    expect(manager.state()).toMatchObject({ source: "file", path: "/ring", remaining: 0, isRotating: false });
    expect(manager.state().keys).toEqual([
      { keyId: oneId, isPrimary: true, records: 7 },
      { keyId: twoId, isPrimary: false, records: 0 },
    ]);
    await expect(manager.retire(oneId, owner)).rejects.toMatchObject({ reason: "KEY_IN_USE" });
    expect(await manager.rotate(undefined, owner)).toMatchObject({ isRotating: true, remaining: 7 });
    await expect(manager.retire(oneId, owner)).rejects.toMatchObject({ reason: "KEY_IN_USE" });
    await rotation.settled();
    expect(manager.state().keys.map(({ records }) => records)).toEqual([0, 7]);
    const opened: string[] = [];
    for await (const { kind, entries } of sealedPages(store)) {
      for (const { key, sealed } of entries) {
        const place = sealedPlaceOf(store, kind, key);
        opened.push(sealed && place && vault.opens(place, sealed) ? kind : `${kind} does not open`);
      }
    }
    expect(opened).toEqual([...sealedKinds]);
    expect(store.revision).toBe(revision);
    expect(await manager.retire(oneId, owner)).toEqual({ isRemoved: true });
    expect(ring.keyIds).toEqual([twoId]);
    expect(keys).toEqual([two]);
    await expect(manager.retire(oneId, owner)).rejects.toMatchObject({ kind: "not_found" });
    const { events } = store.listAuditEvents({ limit: 10 });
    expect(events.map(({ event }) => [event.type, event.reason, event.count])).toEqual([
      ["keyring.key_retired", oneId, undefined],
      ["keyring.rotation_finished", twoId, 7],
      ["keyring.rotation_started", twoId, undefined],
      ["keyring.key_added", twoId, undefined],
    ]);
  });

  it("goes on in the next life where the last one was cut off", async () => {
    const first = life();
    await fill(first.vault);
    await first.manager.add(owner);
    await first.manager.rotate(undefined, owner);
    await first.rotation.stop();
    const left = first.rotation.remaining();
    expect(left).toBeGreaterThan(0);
    const second = life();
    expect(second.ring.keyId).toBe(twoId);
    second.manager.start();
    await second.rotation.settled();
    expect(second.rotation.remaining()).toBe(0);
  });

  it("refuses to retire a key of which one record was put back, whatever the counters say", async () => {
    const { manager, vault, rotation } = life();
    await fill(vault);
    const old = store.getCredential("c");
    if (!old) throw new Error("no credential");
    await manager.add(owner);
    await manager.rotate(undefined, owner);
    await rotation.settled();
    await store.commit((tx) => {
      tx.putCredential("c", old);
      tx.setSealedCount(oneId, 0n);
    });
    await expect(manager.retire(oneId, owner)).rejects.toThrow(`1 records need key ${oneId}`);
    await manager.rotate(twoId, owner);
    await rotation.settled();
    await manager.retire(oneId, owner);
  });

  it("leaves what does not open as it is, says so, and does not keep the old key for it", async () => {
    const { manager, vault, rotation } = life();
    await fill(vault);
    await store.commit((tx) => {
      const stored = tx.getCredential("c");
      if (stored) tx.putCredential("c", { ...stored, sealed: { ...stored.sealed, nonce: Buffer.alloc(24) } });
    });
    await manager.add(owner);
    await manager.rotate(undefined, owner);
    await rotation.settled();
    expect(manager.state()).toMatchObject({ remaining: 1, unreadable: 1, isRotating: false });
    await manager.retire(oneId, owner);
    expect(manager.state()).toMatchObject({ remaining: 0 });
  });

  it("takes no ring from the source that lacks a key in use, and keeps the one it has when the source fails", async () => {
    const { manager, ring, vault, source } = life();
    await fill(vault);
    keys = [two];
    await expect(manager.reload()).rejects.toMatchObject({ reason: "KEY_SOURCE" });
    source.read = () => Promise.reject(new KeyError("the command ended with 1"));
    await expect(manager.rotate(undefined, owner)).rejects.toMatchObject({
      reason: "KEY_SOURCE",
      message: "the command ended with 1",
    });
    expect(ring.keyIds).toEqual([oneId]);
    await expect(manager.rotate("0".repeat(16), owner)).rejects.toMatchObject({ reason: "KEY_SOURCE" });
  });
});
