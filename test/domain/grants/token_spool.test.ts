import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { owner } from "../../../src/model/access/principal.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { newId } from "../../../src/model/ids.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { Renewed } from "../../../src/oauth/token_response.js";
import { spoolFileName } from "../../../src/store/files/spool_file.js";
import { StoreFailed } from "../../../src/store/lmdb/store_error.js";
import { hourMs, tokenSet } from "../engine.js";
import { spooledEngine } from "../spooled_engine.js";

const revocationUrl = "https://op.example/revoke";

describe("TokenSpool", () => {
  const { engine, file, folder, live, die, restart } = spooledEngine();
  const fileBytes = (): Buffer => readFileSync(join(folder(), spoolFileName));
  const isEmpty = (): boolean => fileBytes().every((byte) => byte === 0);
  const events = (id: string) => engine.events(id);
  /** Every commit from now on is refused as by a store that failed. */
  const failStore = (): void => {
    engine.store.commit = () => Promise.reject(new StoreFailed("the disk is full"));
  };
  /** Every commit from now on hangs, as in some failed writes of lmdb. */
  const hangStore = (): void => {
    engine.store.commit = () => new Promise(() => {});
  };

  const second = () => tokenSet({ scopes: ["read", "write"], subject: "ada" });
  /** A refresh that was answered with `second` and could not be stored. */
  const lose = async (
    breakStore: () => void,
    answer = second(),
    violation: Omit<Renewed, "tokenSet"> = {},
  ) => {
    const profile = await engine.provider("op", { oauth2: { ...plainOAuth2, revocationUrl } });
    const { id } = await engine.connection(profile);
    const refreshed = engine.refresher.refresh(id);
    refreshed.catch(() => undefined);
    await engine.untilSent(1);
    breakStore();
    engine.sent[0]?.answer({ tokenSet: answer, ...violation });
    for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    return { id, answer, profile };
  };

  it.each([
    ["is refused", failStore],
    ["never returns", hangStore],
  ])("brings a token set home whose commit %s", async (_name, breakStore) => {
    const { id, answer } = await lose(breakStore);
    engine.spool.save();
    await restart();
    expect(engine.get(id)).toMatchObject({ credentialRevision: 1n, refreshIntent: { sends: 1 } });
    await engine.spool.recover();
    expect(engine.get(id)).toMatchObject({
      status: "active",
      credentialRevision: 2n,
      grantedScopes: ["read", "write"],
      expiresAtMs: engine.clock.nowMs() + hourMs,
      refreshIntent: undefined,
      problem: undefined,
    });
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect(events(id)[0]).toMatchObject({ type: "token_refreshed", reason: "spooled", revision: 2n });
    expect(isEmpty()).toBe(true);
    void engine.refresher.refresh(id).catch(() => undefined);
    await engine.untilSent(1);
    expect(engine.sent[0]?.refreshToken).toBe(answer.refreshToken?.reveal());
  });

  it.each([
    ["keeps its token set", false],
    ["is revoked", true],
  ])("starts while the profile cannot be read, where the connection %s", async (_name, isRevoked) => {
    const { id, answer, profile } = await lose(failStore);
    engine.spool.save();
    await restart();
    if (isRevoked) await engine.connections.revoke(id, owner);
    engine.damage("providers", profile.id);
    await engine.spool.recover();
    expect(isEmpty()).toBe(true);
    if (isRevoked)
      expect(engine.get(id)).toMatchObject({ status: "revoked", providerRevocation: "not_possible" });
    else expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
  });

  it("recovers a token that must not be served as one", async () => {
    const { id, answer } = await lose(failStore, second(), { idTokenViolation: "sub" });
    engine.spool.save();
    await restart();
    const before = engine.reader.view(id)?.token?.credentials;
    await engine.spool.recover();
    expect(engine.get(id)).toMatchObject({ credentialRevision: 2n, problem: { reason: "account_changed" } });
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect(engine.reader.view(id)?.token?.credentials).toEqual(before);
    expect(events(id)[0]).toMatchObject({ type: "token_refresh_failed", reason: "spooled", revision: 2n });
  });

  it("takes an answer that comes after the store has failed", async () => {
    const { id, answer } = await lose(() => {
      failStore();
      engine.spool.save();
    });
    await restart();
    await engine.spool.recover();
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
  });

  describe("of a hub that leads, whose database does not answer", () => {
    /** It waits for its database, which takes the batch when `answer` is called. */
    const away = (isDiskWriting = false) => {
      const { store } = engine;
      const commit = store.commit.bind(store);
      let answer = (): void => undefined;
      const answered = new Promise<void>((resolve) => {
        answer = resolve;
      });
      Object.defineProperties(store, {
        role: { get: () => "leader" },
        isWritingBatches: { get: () => isDiskWriting },
      });
      store.commit = (change) => answered.then(() => commit(change));
      return answer;
    };

    it("is in the file after a second, from where it comes home when the process is killed", async () => {
      const { id, answer } = await lose(() => void away());
      expect(isEmpty()).toBe(true);
      engine.clock.advance(1_000);
      expect([isEmpty(), engine.spool.heldCount]).toEqual([false, 1]);
      // Once, however long that lasts, and when the process ends in order.
      engine.clock.advance(10_000);
      engine.spool.save();
      expect(file.read().entries).toHaveLength(1);
      await restart();
      await engine.spool.recover();
      expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    });

    it("is in the file no more when the database took it", async () => {
      let taken = (): void => undefined;
      const { id } = await lose(() => {
        taken = away();
      });
      engine.clock.advance(1_000);
      expect(isEmpty()).toBe(false);
      taken();
      await engine.until(id, ({ credentialRevision }) => credentialRevision === 2n);
      await expect.poll(isEmpty).toBe(true);
      engine.clock.advance(10_000);
      expect(isEmpty()).toBe(true);
    });

    it("is not written while the disk takes batches, for which the whole hub would wait", async () => {
      await lose(() => void away(true));
      engine.clock.advance(10_000);
      expect([isEmpty(), engine.spool.heldCount]).toEqual([true, 1]);
    });
  });

  it("takes the newest of each connection: a consent came after the refresh that waited", async () => {
    const { id } = await lose(failStore);
    engine.spool.save();
    const [refresh] = file.read().entries;
    if (!refresh) throw new Error("nothing was saved");
    const connection = { ...refresh.connection, subject: "bob" };
    file.append([{ ...refresh, grant: "consent", attempt: undefined, connection }]);
    const handed: number[] = [];
    await engine.spool
      .flushToLeader(async (tokenSets) => {
        handed.push(tokenSets.length);
        throw new Error("away");
      })
      .catch(() => undefined);
    await restart();
    await engine.spool.recover();
    expect([handed, engine.get(id).subject]).toEqual([[1], "bob"]);
  });

  it("keeps the file when something is added to it while it is handed over", async () => {
    await lose(failStore);
    engine.spool.save();
    const handed: number[] = [];
    await engine.spool.flushToLeader(async (tokenSets) => {
      handed.push(tokenSets.length);
      file.append(file.read().entries);
    });
    expect(file.read().entries).toHaveLength(2);
    await engine.spool.flushToLeader(async (tokenSets) => {
      handed.push(tokenSets.length);
    });
    expect(handed).toEqual([1, 1]);
    expect(isEmpty()).toBe(true);
  });

  it("leaves what is held and not in the file for the hub that leads, and keeps it where that fails", async () => {
    await lose(failStore);
    await expect(engine.spool.flushToLeader(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
    expect(engine.spool.heldCount).toBe(1);
    const handed: number[] = [];
    await engine.spool.flushToLeader(async (tokenSets) => {
      handed.push(tokenSets.length);
    });
    engine.spool.save();
    expect([handed, engine.spool.heldCount, isEmpty()]).toEqual([[1], 0, true]);
  });

  it("holds nothing in the clear", async () => {
    const { answer } = await lose(failStore);
    engine.spool.save();
    expect(isEmpty()).toBe(false);
    for (const secret of [answer.accessToken, answer.refreshToken]) {
      expect(fileBytes().includes(secret?.reveal() ?? "none")).toBe(false);
    }
  });

  it("holds nothing that is durable", async () => {
    const { id } = await engine.connected();
    expect(await engine.refreshed(id, { tokenSet: second() })).toBe("refreshed");
    engine.spool.save();
    expect(isEmpty()).toBe(true);
  });

  it("does once what it does, when it died before the file was emptied", async () => {
    const { id } = await lose(failStore);
    engine.spool.save();
    const content = fileBytes();
    await die();
    for (let start = 0; start < 3; start++) {
      writeFileSync(join(folder(), spoolFileName), content);
      live();
      await engine.spool.recover();
      expect(engine.get(id).credentialRevision).toBe(2n);
      expect(events(id).filter(({ reason }) => reason === "spooled")).toHaveLength(1);
      expect(events(id).filter(({ type }) => type === "token_storage_failed")).toHaveLength(0);
      if (start < 2) await die();
    }
  });

  it("keeps the file when the store still cannot be written", async () => {
    const { id, answer } = await lose(failStore);
    engine.spool.save();
    await restart();
    failStore();
    await expect(engine.spool.recover()).rejects.toThrow(StoreFailed);
    await restart();
    await engine.spool.recover();
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
  });

  it.each([
    [
      "a consent of later",
      (id: string) =>
        engine.store.commit((tx) => {
          const current = tx.getConnection(id);
          const profile = current && tx.getProvider(current.providerId);
          const receivedAtMs = engine.clock.nowMs();
          if (profile)
            engine.writer.write(tx, { connection: current, profile, tokenSet: tokenSet(), receivedAtMs });
        }),
    ],
    [
      "a connection without the mark of this refresh",
      (id: string) =>
        engine.store.commit((tx) => {
          const current = tx.getConnection(id);
          if (current) tx.putUnannounced({ ...current, refreshIntent: undefined });
        }),
    ],
  ])("does not overwrite %s", async (_name, moveOn) => {
    const { id, answer } = await lose(failStore);
    engine.spool.save();
    await restart();
    await moveOn(id);
    const before = engine.refreshTokenOf(id);
    await engine.spool.recover();
    expect(engine.refreshTokenOf(id)).toBe(before);
    expect(before).not.toBe(answer.refreshToken?.reveal());
    expect(events(id)[0]).toMatchObject({ type: "token_storage_failed", reason: "superseded" });
    expect(isEmpty()).toBe(true);
  });

  it("brings a token set home whose profile was led elsewhere while it was asked for, and keeps it from there", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    engine.refresher.refresh(id).catch(() => undefined);
    await engine.untilSent(1);
    const edit = (tokenUrl: string) =>
      engine.providers.update(profile.id, { settings: { tokenUrl } }, undefined, owner);
    await edit("https://evil.example/token");
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "reauth_required" } });
    failStore();
    const answer = second();
    engine.sent[0]?.answer({ tokenSet: answer });
    for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    engine.spool.save();
    await restart();
    await engine.spool.recover();
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect(engine.get(id)).toMatchObject({ status: "attention", credentialRevision: 2n });
    await edit(profile.tokenUrl);
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 2n });
  });

  describe("of a connection that was given up because the outcome of an attempt was unknown", () => {
    /** The hub that asked is away with the answer, and another one gives up. */
    const givenUp = async (giveUp: (id: string) => Promise<unknown>) => {
      const { id, answer } = await lose(failStore);
      engine.spool.save();
      await restart();
      await giveUp(id);
      expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "outcome_unknown" } });
      await engine.spool.recover();
      return { id, answer };
    };
    const refuse = async (id: string): Promise<void> => {
      expect(await engine.refreshed(id, { kind: "invalid_grant" })).toBe("attention");
    };

    it.each([
      [
        "without another request",
        async (id: string) => {
          const { refreshIntent, ...rest } = engine.get(id);
          const twice = { ...rest, refreshIntent: refreshIntent && { ...refreshIntent, sends: 2 } };
          await engine.store.commit((tx) => tx.putUnannounced(twice));
          expect(await engine.refresher.refresh(id)).toBe("attention");
          expect(engine.sent).toEqual([]);
        },
      ],
      ["when its own request was refused", refuse],
    ])("takes the late answer home: %s", async (_, giveUp) => {
      const { id, answer } = await givenUp(giveUp);
      expect(engine.get(id)).toMatchObject({
        ...{ status: "active", credentialRevision: 2n, problem: undefined, refreshIntent: undefined },
      });
      expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
      expect(engine.store.revocations.due(1)).toEqual([]);
    });

    it("does not take the answer of any other attempt", async () => {
      const { id } = await givenUp(async (id) => {
        const other = { ...engine.get(id).refreshIntent, attempt: newId() } as Connection["refreshIntent"];
        await engine.store.commit((tx) => tx.putUnannounced({ ...engine.get(id), refreshIntent: other }));
        await refuse(id);
      });
      expect(engine.get(id)).toMatchObject({ status: "attention", credentialRevision: 1n });
      expect(events(id)[0]).toMatchObject({ type: "token_storage_failed", reason: "superseded" });
    });
  });

  it("has the token revoked when its connection is gone", async () => {
    const { id } = await lose(failStore);
    engine.spool.save();
    await restart();
    await engine.store.commit((tx) => tx.deleteConnection(id));
    await engine.spool.recover();
    const [due] = engine.store.revocations.due(2);
    const revocation = due && engine.store.revocations.get(due.id);
    expect(revocation).toMatchObject({ connectionId: id, tokenTypeHint: "refresh_token" });
  });

  it("refuses what another store sealed, or what was altered", async () => {
    const { id } = await lose(failStore);
    engine.spool.save();
    const [entry] = file.read().entries;
    if (!entry) throw new Error("nothing was saved");
    const ciphertext = Uint8Array.from(entry.credential.sealed.ciphertext);
    ciphertext[0] = (ciphertext[0] ?? 0) ^ 1;
    file.clear();
    file.append([
      { ...entry, credential: { ...entry.credential, sealed: { ...entry.credential.sealed, ciphertext } } },
    ]);
    await restart();
    await engine.spool.recover();
    expect(engine.get(id)).toMatchObject({ credentialRevision: 1n, refreshIntent: { sends: 1 } });
    expect(events(id)[0]).toMatchObject({ type: "token_storage_failed", reason: "data_loss" });
  });

  it("brings the tokens of a consent home", async () => {
    const answer = second();
    await engine.provider("op");
    const { state, connectionId: id } = await engine.request();
    engine.exchangeCode = () => {
      failStore();
      return Promise.resolve(answer);
    };
    await expect(engine.finish(state)).rejects.toThrow(StoreFailed);
    engine.spool.save();
    await restart();
    expect(engine.get(id).status).toBe("pending");
    await engine.spool.recover();
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 1n, subject: "ada" });
    expect(engine.get(id).requestExpiresAtMs).toBeUndefined();
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect(events(id)[0]).toMatchObject({ type: "oauth_flow_completed", reason: "spooled" });
  });

  const accountOf = (subject: string, name = "") =>
    ({ subject, name, email: "", login: "", source: "op" }) as const;
  /** Dies of what the store did not take, and lives on with what the spool file had. @returns that */
  const recovered = async (): Promise<Connection | undefined> => {
    engine.spool.save();
    const [entry] = file.read().entries;
    await restart();
    await engine.spool.recover();
    return entry?.connection;
  };

  it("stores whose account a consent was, that it answered a step-up, and lets no other account in", async () => {
    await engine.provider("op");
    const { connectionId: id } = await engine.consent(tokenSet());
    const stepUp = { scopes: ["write"], attempts: 1, lastAtMs: engine.clock.nowMs(), wanted: true };
    await engine.store.commit((tx) => tx.putUnannounced({ ...engine.get(id), stepUp }));
    const { state } = await engine.request({ connectionId: id, scopes: ["read", "write"] });
    engine.exchangeCode = () => {
      failStore();
      return Promise.resolve(tokenSet({ account: accountOf("ada") }));
    };
    await expect(engine.finish(state, "agreed")).rejects.toThrow(StoreFailed);
    const lost = await recovered();
    expect(engine.get(id)).toEqual(lost);
    expect(engine.get(id)).toMatchObject({ account: accountOf("ada"), stepUp: { ...stepUp, wanted: false } });
    const other = await engine.consent(tokenSet({ account: accountOf("bob") }), { connectionId: id });
    expect(other.result).toMatchObject({ kind: "refused", reason: "account_changed" });
    expect(engine.get(id)).toMatchObject({ account: accountOf("ada"), credentialRevision: 2n });
  });

  it("stores the tokens of a consent whose commit failed before the next refresh, instead of sending one", async () => {
    const { id } = await engine.connected();
    const { state } = await engine.request({ connectionId: id });
    const answer = second();
    engine.exchangeCode = () => {
      engine.store.commit = () => Promise.reject(new Error("refused"));
      return Promise.resolve(answer);
    };
    await expect(engine.finish(state)).rejects.toThrow("refused");
    expect(engine.spool.heldCount).toBe(1);
    Reflect.deleteProperty(engine.store, "commit");
    expect(await engine.refresher.refresh(id)).toBe("refreshed");
    expect(engine.refreshTokenOf(id)).toBe(answer.refreshToken?.reveal());
    expect([engine.sent, engine.spool.heldCount]).toEqual([[], 0]);
  });

  it("stores what more a refresh said of the account", async () => {
    const { id } = await lose(failStore, tokenSet({ account: accountOf("ada", "Ada") }));
    expect(engine.get(id).account).toBeUndefined();
    const lost = await recovered();
    expect(engine.get(id)).toEqual(lost);
  });
});
