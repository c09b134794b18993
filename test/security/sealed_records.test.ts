import { beforeEach, describe, expect, it } from "vitest";
import { importPlace } from "../../src/domain/connections/credential_vault.js";
import type { BackupSummary } from "../../src/gen/nexus/v1/backup_pb.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { newId } from "../../src/model/ids.js";
import { Secret } from "../../src/runtime/secret.js";
import type { Databases } from "../../src/store/lmdb/databases.js";
import { decodeRevocation } from "../../src/store/records/journal_codec.js";
import { decodeProvider } from "../../src/store/records/provider_codec.js";
import { decodeAuthorization, decodeSealedCredential } from "../../src/store/records/sealed_codec.js";
import { decodeStoreRecord } from "../../src/store/store_record.js";
import { untilEvent } from "../daemon/audit_events.js";
import { failureOf } from "../daemon/errors.js";
import { foreignRefreshToken } from "../daemon/foreign_token.js";
import { World } from "../daemon/harness.js";
import { requestOf } from "../daemon/requests.js";
import { perTest } from "../lifetimes.js";
import { flipInside, tamper, withStore } from "./sealed_store.js";

/** A daemon whose store somebody else can write to while it is stopped. */
describe("a sealed record that was altered, moved or taken from an older copy", { timeout: 120_000 }, () => {
  const world = perTest(() => World.make());
  let providerId: string;
  let hurt: string;
  let well: string;
  beforeEach(async () => {
    providerId = await world.register();
    hurt = await world.connect(providerId);
    well = await world.connect(providerId);
  });

  const folder = (): string => world.place.config.dataDir;
  const whileStopped = async (work: (databases: Databases) => void): Promise<void> => {
    await world.stop();
    await tamper(folder(), work);
    await world.start();
  };
  const credentialOf = (databases: Databases, id: string): Buffer =>
    Buffer.from(databases.credentials.getBinary(id) ?? []);

  /** What everybody sees afterwards. */
  const expectHurtAlone = async (): Promise<void> => {
    const { tokens, connections } = world.clients;
    expect(await failureOf(tokens.getToken({ connectionId: hurt }))).toMatchObject({ code: "DataLoss" });
    expect((await tokens.getToken({ connectionId: well })).token?.credentials["access_token"]).toMatch(
      /.{20}/,
    );
    const watcher = world.watch();
    const states = [await watcher.next(), await watcher.next()].map((event) =>
      event?.case === "state" ? event.value : undefined,
    );
    watcher.cancel();
    const stateOf = (id: string) => states.find((state) => state?.connectionId === id);
    expect(stateOf(hurt)).toMatchObject({ problem: { reason: "data_loss" } });
    expect(stateOf(hurt)?.token).toBeUndefined();
    expect(stateOf(well)?.token).toBeDefined();
    const failure = await failureOf(tokens.refreshToken({ connectionId: hurt }));
    expect(failure.code).toBe("DataLoss");
    expect((await tokens.refreshToken({ connectionId: well })).token?.revision).toBeGreaterThan(1n);
    const listed = await connections.listConnections({});
    expect(listed.connections.find(({ id }) => id === well)?.status).toBe(ConnectionStatus.ACTIVE);
  };

  it("a credential with any one bit flipped is DATA_LOSS for its connection alone, and the daemon starts", async () => {
    await whileStopped(({ credentials }) => {
      const bytes = Buffer.from(credentials.getBinary(hurt) ?? []);
      credentials.putSync(hurt, flipInside(bytes, decodeSealedCredential(bytes).sealed, 77));
    });
    await expectHurtAlone();
  });

  it("flips in any byte of the stored record, its framing included, are told the same way", async () => {
    let original: Buffer = Buffer.alloc(0);
    await whileStopped((databases) => {
      original = credentialOf(databases, hurt);
    });
    const step = Math.ceil(original.length / 12);
    for (let byte = 0; byte < original.length; byte += byte < 6 ? 1 : step) {
      await whileStopped(({ credentials }) => {
        const copy = Buffer.from(original);
        copy[byte] = (copy[byte] ?? 0) ^ 0x10;
        credentials.putSync(hurt, copy);
      });
      const answer = world.clients.tokens.getToken({ connectionId: hurt });
      const outcome = await answer.then(
        () => "opened",
        () => failureOf(answer).then(({ code }) => code),
      );
      expect([byte, outcome]).toEqual([byte, "DataLoss"]);
      expect((await world.clients.tokens.getToken({ connectionId: well })).token).toBeDefined();
    }
  });

  it("a credential moved from another connection does not open", async () => {
    await whileStopped((databases) => databases.credentials.putSync(hurt, credentialOf(databases, well)));
    await expectHurtAlone();
  });

  it("an older copy of a credential does not open", async () => {
    let older: Buffer = Buffer.alloc(0);
    await whileStopped((databases) => {
      older = credentialOf(databases, hurt);
    });
    await world.clients.tokens.refreshToken({ connectionId: hurt });
    await whileStopped(({ credentials }) => credentials.putSync(hurt, older));
    await expectHurtAlone();
  });

  it("a connection record that cannot be read holds up no other, and can be deleted", async () => {
    await whileStopped(({ connections }) => connections.putSync(hurt, Buffer.from([0x0a, 0xff, 0xff])));
    const { tokens, connections } = world.clients;
    expect(await failureOf(tokens.getToken({ connectionId: hurt }))).toMatchObject({ code: "DataLoss" });
    expect((await tokens.getToken({ connectionId: well })).token).toBeDefined();
    expect((await connections.listConnections({})).connections).toHaveLength(2);
    await connections.deleteConnection({ connectionId: hurt });
    expect((await connections.listConnections({})).connections.map(({ id }) => id)).toEqual([well]);
  });

  it("a client secret that was altered, moved, or taken from an older copy is not used; tokens that live go on", async () => {
    const { providers, tokens, connections } = world.clients;
    let older: ReturnType<typeof decodeProvider>["clientSecret"];
    const replace = (change: (bytes: Buffer) => Buffer) => (databases: Databases) => {
      const bytes = Buffer.from(databases.providers.getBinary(providerId) ?? []);
      databases.providers.putSync(providerId, change(bytes));
    };
    await whileStopped(
      replace((bytes) => {
        older = decodeProvider(bytes).clientSecret;
        return bytes;
      }),
    );
    const clientSecret = world.provider.clients.post.clientSecret;
    await providers.updateProvider({
      provider: { id: providerId, clientSecret },
      updateMask: { paths: ["client_secret"] },
    });
    await whileStopped(
      replace((bytes) => {
        const { clientSecret: newer } = decodeProvider(bytes);
        if (!older || !newer) throw new Error("no secret");
        const copy = Buffer.from(bytes);
        copy.set(older.nonce, copy.indexOf(Buffer.from(newer.nonce)));
        copy.set(older.ciphertext, copy.indexOf(Buffer.from(newer.ciphertext)));
        return copy;
      }),
    );
    const sent = world.provider.tokenRequests.length;
    const failure = await failureOf(tokens.refreshToken({ connectionId: hurt }));
    expect(failure).toMatchObject({ code: "FailedPrecondition" });
    expect(world.provider.tokenRequests.length).toBe(sent);
    expect((await tokens.getToken({ connectionId: hurt })).token).toBeDefined();
    const { connection } = await connections.getConnection({ connectionId: hurt });
    expect(connection?.problem?.reason).toBe("misconfigured");
    await providers.updateProvider({
      provider: { id: providerId, clientSecret },
      updateMask: { paths: ["client_secret"] },
    });
    expect((await tokens.refreshToken({ connectionId: well })).token?.revision).toBe(2n);
  });

  it("a pending authorization that was altered, or moved under another state, starts no consent", async () => {
    const request = () =>
      world.clients.connections.requestConnection(requestOf(providerId, { userId: "bob" }));
    const flipped = await request();
    await whileStopped(({ authorizations }) => {
      for (const { key, value } of [...authorizations.getRange({})]) {
        authorizations.putSync(Buffer.from(key), flipInside(value, decodeAuthorization(value).sealed));
      }
    });
    expect((await world.browser.get(flipped.authUrl)).status).toBe(404);
    const [one, other] = [await request(), await request()];
    await whileStopped(({ authorizations }) => {
      const entries = [...authorizations.getRange({})].map(({ key, value }) => ({
        key: Buffer.from(key),
        value: Buffer.from(value),
      }));
      for (const [index, { key }] of entries.entries()) {
        authorizations.putSync(key, entries[(index + 1) % entries.length]?.value ?? Buffer.alloc(0));
      }
    });
    for (const { authUrl } of [one, other]) expect((await world.browser.get(authUrl)).status).toBe(404);
  });

  it("a queued revocation that was altered or moved is given up, and the others are made", async () => {
    await world.provider.setOutage("503");
    await world.clients.connections.revokeConnection({ connectionId: hurt });
    await world.clients.connections.revokeConnection({ connectionId: well });
    await world.stop();
    await world.provider.setOutage("none");
    let altered = "";
    await tamper(folder(), ({ revocations }) => {
      const [entry] = [...revocations.getRange({})].map(({ key, value }) => ({
        key,
        value: Buffer.from(value),
      }));
      if (!entry) throw new Error("nothing is queued");
      altered = decodeRevocation(entry.value).connectionId;
      revocations.putSync(entry.key, flipInside(entry.value, decodeRevocation(entry.value).sealed));
    });
    await world.start();
    const outcome = async (eventType: string): Promise<string[]> => {
      for (;;) {
        const { events } = await world.clients.audit.listAuditEvents({ eventType });
        if (events.length > 0)
          return events.map(({ connectionId, reason }) => `${connectionId} ${reason}`.trim());
        world.clock.advance(1_000);
      }
    };
    expect(await outcome("revocation_given_up")).toEqual([`${altered} data_loss`]);
    expect(await outcome("revoked_at_provider")).toEqual([altered === hurt ? well : hurt]);
  });

  it("an import under way that was altered is given up, and one that is done is not begun again from an older copy", async () => {
    const refreshToken = await foreignRefreshToken(world.provider, world.place.config.redirectUri);
    const { connection } = await world.clients.connections.importConnection({
      userId: "ada",
      providerId,
      refreshToken,
    });
    const imported = connection?.id ?? "";
    await world.stop();
    const brokenKey = "ab".repeat(32);
    await withStore(folder(), async (store, vault) => {
      const [done] = store.listImports();
      if (!done) throw new Error("no import");
      const again = (key: string, connectionId: string) => {
        const pending = { ...done.pending, connectionId };
        return { ...pending, sealed: vault.sealToken(importPlace(key, pending), new Secret(refreshToken)) };
      };
      await store.commit((tx) => {
        tx.putImport(done.key, again(done.key, imported));
        // Sealed for another key of the journal: a copy that was moved.
        tx.putImport(brokenKey, { ...again(done.key, newId()) });
      });
    });
    const sent = world.provider.tokenRequests.length;
    await world.start();
    const failed = await untilEvent(world.clients, "connection.import_failed");
    expect(failed.reason).toBe("data_loss");
    expect(world.provider.tokenRequests.length).toBe(sent);
    const refreshed = await world.clients.tokens.refreshToken({ connectionId: imported });
    expect(refreshed.token?.revision).toBe(2n);
  });

  it("a key check that was damaged is written anew; one of a wrong store stops the start", async () => {
    await whileStopped(({ meta }) => {
      const bytes = Buffer.from(meta.getBinary("store") ?? []);
      const { keyCheck } = decodeStoreRecord(bytes);
      if (!keyCheck) throw new Error("no key check");
      meta.putSync("store", flipInside(bytes, keyCheck));
    });
    expect((await world.clients.tokens.getToken({ connectionId: hurt })).token).toBeDefined();
    await world.stop();
    const swap = (databases: Databases, from: string, to: string): void => {
      const text = Buffer.from(databases.meta.getBinary("store") ?? []);
      text.write(to, text.indexOf(from));
      databases.meta.putSync("store", text);
    };
    let databaseId = "";
    const other = "00000000-0000-4000-8000-000000000000";
    await tamper(folder(), (databases) => {
      databaseId = decodeStoreRecord(Buffer.from(databases.meta.getBinary("store") ?? [])).databaseId;
      swap(databases, databaseId, other);
    });
    await expect(world.place.start(world.clock)).rejects.toThrow("restore a backup");
    await tamper(folder(), (databases) => swap(databases, other, databaseId));
    await world.start();
    expect((await world.clients.tokens.getToken({ connectionId: hurt })).token).toBeDefined();
  });

  it("a backup is refused while a record does not open, and names it", async () => {
    await whileStopped((databases) => databases.credentials.putSync(hurt, credentialOf(databases, well)));
    const make = async (allowUnreadable: boolean) => {
      let summary: BackupSummary | undefined;
      for await (const { part } of world.clients.backups.createBackup({ allowUnreadable })) {
        if (part.case === "summary") summary = part.value;
      }
      return summary;
    };
    const failure = await failureOf(make(false));
    expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "BACKUP_NOT_VERIFIED" });
    expect(failure.message).toContain(hurt);
    expect(await make(true)).toMatchObject({ unreadableRecords: 1n });
  });
});
