import { createPrivateKey, createPublicKey } from "node:crypto";
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from "jose";
import { describe, expect, it, test } from "vitest";
import { CredentialVault } from "../../../src/domain/connections/credential_vault.js";
import {
  ClientKeys,
  publishedAfterMs,
  publishedBeforeMs,
} from "../../../src/domain/token_endpoint/client_keys.js";
import { daemon, owner } from "../../../src/model/access/principal.js";
import type { Log } from "../../../src/runtime/log.js";
import { Vault } from "../../../src/vault/vault.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { nowMs } from "../../samples.js";
import { silentLog } from "../../silent_log.js";
import { openStore } from "../../store/temporary_store.js";

function aDaemon(store = openStore(), clock = new ManualClock(nowMs), log: Log = silentLog) {
  const vault = new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: store.databaseId });
  const keys = new ClientKeys({ store, vault, clock, log });
  return { store, clock, vault, keys };
}

const both = { type: undefined, isCompromised: false } as const;
const kids = (keys: ClientKeys): string[] => keys.jwkSet.keys.map(({ kid }) => kid);

test.each([
  ["", "P-256", "EC"],
  ["ES256", "P-256", "EC"],
  ["ES384", "P-384", "EC"],
  ["ES512", "P-521", "EC"],
  ["RS256", "RSA", "RSA"],
  ["PS512", "RSA", "RSA"],
  ["EdDSA", "Ed25519", "OKP"],
  ["Ed25519", "Ed25519", "OKP"],
])(
  "what signs by %j is a key of %s, published with its public members and its thumbprint alone",
  async (alg, type, kty) => {
    const { keys } = aDaemon();
    const { kid, privateKey } = await keys.signingKey(alg);
    const [jwk, ...others] = keys.jwkSet.keys;
    if (!jwk) throw new Error("no key is published");
    expect(others).toEqual([]);
    expect(keys.list()).toMatchObject([{ kid, type, isSigning: true }]);
    expect(jwk).toMatchObject({ kid, kty, use: "sig" });
    // RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2.
    for (const member of ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
      expect(jwk).not.toHaveProperty(member);
    expect(kid).toBe(await calculateJwkThumbprint(jwk));
    const signed = await new SignJWT({})
      .setProtectedHeader({ alg: alg || "ES256" })
      .sign(createPrivateKey(privateKey.reveal()));
    await jwtVerify(signed, await importJWK({ ...jwk }, alg || "ES256"));
  },
);

describe("a rotation", () => {
  it("publishes the new key a day before it signs, and the old one an hour after", async () => {
    const { keys, clock, store } = aDaemon();
    const { kid: old } = await keys.signingKey("");
    await keys.rotate(both, owner);
    const fresh = kids(keys).find((kid) => kid !== old);
    expect(kids(keys)).toEqual([old, fresh]);
    const signer = async () => (await keys.signingKey("")).kid;
    expect(await signer()).toBe(old);
    await expect(keys.rotate(both, owner)).rejects.toMatchObject({ reason: "CLIENT_KEY_ROTATING" });

    clock.advance(publishedBeforeMs - 1);
    expect(await signer()).toBe(old);
    clock.advance(1);
    expect(await signer()).toBe(fresh);
    expect(kids(keys)).toEqual([old, fresh]);
    clock.advance(publishedAfterMs - 1);
    expect(kids(keys)).toEqual([old, fresh]);
    clock.advance(1);
    expect(kids(keys)).toEqual([fresh]);
    expect(store.clientKeys.get(old)).toBeDefined();
    expect(await signer()).toBe(fresh);
    expect(store.clientKeys.get(old)).toBeUndefined();
    const { events } = store.listAuditEvents({ limit: 9 });
    expect(events.map(({ event }) => [event.type, event.principal, event.reason])).toEqual([
      ["client_key.ended", daemon.name, old],
      ["client_key.made", owner.name, fresh],
      ["client_key.made", daemon.name, old],
    ]);
  });

  it("of a compromised key signs at once, and erases it", async () => {
    const { keys, store } = aDaemon();
    const { kid: old } = await keys.signingKey("");
    await keys.rotate(both, owner);
    await keys.rotate({ type: undefined, isCompromised: true }, owner);
    expect(kids(keys)).not.toContain(old);
    expect(kids(keys)).toEqual([(await keys.signingKey("")).kid]);
    expect(store.clientKeys.list()).toHaveLength(1);
  });

  it("is of every type that there is, of one, or makes the first", async () => {
    const { keys } = aDaemon();
    await keys.rotate(both, owner);
    expect(keys.list().map(({ type, isSigning }) => [type, isSigning])).toEqual([["P-256", true]]);
    await keys.rotate({ type: "Ed25519", isCompromised: false }, owner);
    await keys.rotate(both, owner);
    const counts = keys.list().map(({ type }) => type);
    expect(counts.sort()).toEqual(["Ed25519", "Ed25519", "P-256", "P-256"]);
  });
});

it("makes one key, however many ask for the first signature", async () => {
  const { keys } = aDaemon();
  const made = await Promise.all(Array.from({ length: 8 }, () => keys.signingKey("ES256")));
  expect(new Set(made.map(({ kid }) => kid)).size).toBe(1);
});

it("signs with the same key after a restart, and with the one that there is when the clock is set back", async () => {
  const first = aDaemon();
  const { kid } = await first.keys.signingKey("");
  const second = aDaemon(first.store, new ManualClock(nowMs - 3 * publishedBeforeMs));
  expect((await second.keys.signingKey("")).kid).toBe(kid);
  expect(kids(second.keys)).toEqual([kid]);
});

it("neither publishes nor signs with a key that does not open, and makes another", async () => {
  const { keys, store, clock } = aDaemon();
  const { kid } = await keys.signingKey("");
  const stored = store.clientKeys.get(kid);
  if (!stored) throw new Error("no key is stored");
  // Under another name, as somebody would put it who can write the file and has no key of the ring.
  await store.commit((tx) => {
    tx.clientKeys.remove(kid);
    tx.clientKeys.put({ ...stored, kid: "mine" });
  });
  let errors = 0;
  const next = aDaemon(store, clock, { ...silentLog, error: () => errors++ });
  expect(kids(next.keys)).toEqual([]);
  expect(kids(next.keys)).toEqual([]);
  // Anybody may ask for the set.
  expect(errors).toBe(1);
  const made = await next.keys.signingKey("");
  expect(made.kid).not.toBe("mine");
  expect(kids(next.keys)).toEqual([made.kid]);
});

it("the store holds no key in clear, and counts each as sealed", async () => {
  const { keys, store } = aDaemon();
  const { privateKey } = await keys.signingKey("");
  const [key] = store.clientKeys.list();
  expect([...store.sealedCounts().values()]).toEqual([1n]);
  const der = createPublicKey(privateKey.reveal()).export({ type: "spki", format: "der" });
  expect(key && Buffer.from(key.sealed.ciphertext).includes(der.subarray(-32))).toBe(false);
});
