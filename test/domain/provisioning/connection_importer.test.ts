import { beforeEach, describe, expect, it } from "vitest";
import { ImportRecovery } from "../../../src/domain/provisioning/import_recovery.js";
import { owner } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { NotLeader } from "../../../src/model/errors.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { Secret } from "../../../src/runtime/secret.js";
import { StoreFailed } from "../../../src/store/lmdb/store_error.js";
import { silentLog } from "../../silent_log.js";
import { tokenSet } from "../engine.js";
import { spooledEngine } from "../spooled_engine.js";

describe("an import whose token was redeemed", () => {
  let profile: ProviderProfile;
  const { engine, file, restart } = spooledEngine();
  beforeEach(async () => {
    profile = await engine.provider("op", {
      oauth2: { ...plainOAuth2, revocationUrl: "https://op.example/revoke" },
    });
  });

  const rotated = tokenSet({ scopes: ["read"], subject: "ada" });
  const importIt = (): Promise<Connection> =>
    engine.importer.import(
      {
        ...{ providerId: profile.id, userId: "ada", label: "work", scopes: ["read", "write"] },
        ...{ refreshToken: new Secret("theirs"), idToken: undefined, fields: {} },
      },
      owner,
    );
  const entry = () => engine.store.listImports()[0];
  /** The provider has rotated the token, and the store refuses the commit of the new one; one that has failed, all later ones too. */
  const lose = async (error: Error): Promise<void> => {
    const imported = importIt();
    imported.catch(() => undefined);
    const sent = await engine.untilSent(1);
    engine.store.commit = () => {
      if (!(error instanceof StoreFailed)) Reflect.deleteProperty(engine.store, "commit");
      return Promise.reject(error);
    };
    sent.answer({ tokenSet: rotated });
    await expect(imported).rejects.toBe(error);
  };
  const isImported = (connection: Connection | undefined): void => {
    expect(connection).toMatchObject({
      ...{ status: "active", credentialRevision: 1n, userId: "ada", label: "work", providerId: profile.id },
      ...{ requestedScopes: ["read", "write"], grantedScopes: ["read"], subject: "ada" },
    });
    const id = connection?.id ?? "";
    expect(engine.refreshTokenOf(id)).toBe(rotated.refreshToken?.reveal());
    expect(engine.events(id)).toEqual([
      expect.objectContaining({ type: "connection.imported", principal: "owner", revision: 1n }),
    ]);
    expect(entry()?.pending).toMatchObject({ connectionId: id, sealed: undefined });
  };

  it("keeps the refresh token of an access token that cannot be served, and shows no token", async () => {
    const imported = importIt();
    const sent = await engine.untilSent(1);
    sent.answer({ tokenSet: rotated, accessTokenViolation: "the access token is longer than 64 KiB" });
    isImported(await imported);
    const { id, expiresAtMs, refreshNotBeforeMs } = await imported;
    expect(engine.reader.view(id)?.token).toBeUndefined();
    expect([expiresAtMs, refreshNotBeforeMs]).toEqual([engine.clock.nowMs(), engine.clock.nowMs()]);
  });

  it("is stored by the next start, and its old token is not sent again", async () => {
    await lose(new StoreFailed("the disk is full"));
    engine.spool.save();
    const [spooled] = file.read().entries;
    await restart();
    expect(engine.store.listConnections({ limit: 1 })).toEqual([]);
    await engine.spool.recover();
    const [connection] = engine.store.listConnections({ limit: 2 });
    isImported(connection);
    expect(connection).toEqual(spooled?.connection);
    expect(await importIt()).toEqual(connection);
    expect(engine.sent).toEqual([]);
    await engine.spool.recover();
    expect(engine.events(connection?.id ?? "")).toHaveLength(1);
  });

  it.each([
    ["a failure of the transaction", () => new Error("refused")],
    ["a hub that leads no more", () => new NotLeader()],
  ])("keeps its entry after %s, and is stored when it is asked for again", async (_what, error) => {
    await lose(error());
    expect(entry()?.pending.sealed).toBeDefined();
    isImported(await importIt());
    expect(engine.sent).toHaveLength(1);
  });

  it("is stored instead of a second redemption where it is resumed", async () => {
    await lose(new Error("refused"));
    const { clock, store, importer } = engine;
    const recovery = new ImportRecovery({ clock, store, importer, random: () => 0.5, log: silentLog });
    recovery.start();
    await recovery.stop();
    isImported(store.listConnections({ limit: 1 })[0]);
    expect(engine.sent).toHaveLength(1);
  });

  it("is revoked where its entry is gone", async () => {
    await lose(new StoreFailed("the disk is full"));
    engine.spool.save();
    await restart();
    await engine.importer.abandon(entry()?.key ?? "", "provider_unavailable");
    await engine.spool.recover();
    expect(engine.store.listConnections({ limit: 1 })).toEqual([]);
    expect(engine.store.revocations.due(2)).toHaveLength(1);
  });
});
