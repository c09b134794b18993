import { beforeEach, describe, expect, it } from "vitest";
import { beginRestored } from "../../../src/ext/backup/restored_store.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { countEntry, countOf } from "../../../src/store/indexes/numbers.js";
import { nothing } from "../../../src/store/lmdb/databases.js";
import { ExtensionTable } from "../../../src/store/lmdb/table.js";
import { Engine, hourMs, tokenSet } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";
import { pending, stateHash } from "../../samples.js";

const outgoing = new ExtensionTable<[string, number]>("outgoing", { isEmptyAfterRestore: true });
const outgoingDue = new ExtensionTable<[number, string]>("outgoing_due", { isEmptyAfterRestore: true });
const kept = new ExtensionTable<string>("kept");
const tables = [outgoing, outgoingDue, kept];

describe("a store that comes from a backup", () => {
  const engine = perTest(() => new Engine(undefined, undefined, { tables }));
  let id: string;
  beforeEach(async () => {
    const profile = await engine.provider("op");
    id = (await engine.connection(profile)).id;
  });

  const restore = () => beginRestored(engine.store, engine.clock.nowMs(), "owner");
  const attempt = async (act: () => void, sent = 1): Promise<string> => {
    const outcome = engine.refresher.refresh(id);
    await engine.untilSent(sent);
    act();
    return await outcome;
  };

  it("marks its refresh tokens, hands out what lives, and moves no refresh", async () => {
    const before = engine.get(id);
    expect(await restore()).toEqual({ marked: 1, endedRequests: 0 });
    const marked = engine.get(id);
    expect(marked).toMatchObject({
      status: "active",
      problem: { reason: "restored" },
      dueAtMs: before.dueAtMs,
    });
    expect(marked.refreshIntent).toMatchObject({ credentialRevision: 1n, sends: 0, restored: true });
    expect(engine.reader.view(id)?.token).toBeDefined();
    const { events } = engine.store.listAuditEvents({ limit: 1 });
    expect(events[0]?.event).toMatchObject({ type: "store.restored", count: 1 });
  });

  it("has nothing of what belongs to the original alone, and no count of it", async () => {
    const counts = () =>
      engine.store.raw((databases) =>
        [undefined, "ops", "dead"].map((group) => countOf(databases, outgoing, group)),
      );
    await engine.store.commit((tx) =>
      tx.raw((databases) => {
        for (let index = 1; index <= 250; index++) {
          const group = index % 2 === 0 ? "ops" : "dead";
          outgoing.of(databases).putSync([group, index], nothing);
          outgoingDue.of(databases).putSync([index, group], nothing);
          countEntry(databases, outgoing, group, 1n);
        }
        kept.of(databases).putSync("c1", nothing);
      }),
    );
    expect(counts()).toEqual([250n, 125n, 125n]);
    await restore();
    const keysOf = (table: ExtensionTable) =>
      engine.store.raw((databases) => [...table.of(databases).getKeys({})]);
    expect([outgoing, outgoingDue, kept].map(keysOf)).toEqual([[], [], ["c1"]]);
    expect(counts()).toEqual([0n, 0n, 0n]);
  });

  it("marks them as well where a profile cannot be read", async () => {
    engine.damage("providers", engine.get(id).providerId);
    expect(await restore()).toMatchObject({ marked: 1 });
  });

  it("condemns nothing before it has tried, and then with true words", async () => {
    await restore();
    engine.clock.advance(2 * hourMs);
    expect(engine.get(id).status).toBe("active");
    expect(await attempt(() => engine.sent[0]?.fail(new GrantFailure({ kind: "invalid_grant" })))).toBe(
      "attention",
    );
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "outcome_unknown" } });
  });

  it("believes the provider that says consent was withdrawn", async () => {
    await restore();
    await attempt(() =>
      engine.sent[0]?.fail(new GrantFailure({ kind: "invalid_grant", consentRevoked: true })),
    );
    expect(engine.get(id).problem?.reason).toBe("consent_revoked");
  });

  it("is well again when the refresh token was not spent", async () => {
    await restore();
    const answer = { tokenSet: tokenSet() };
    expect(await attempt(() => engine.sent[0]?.answer(answer))).toBe("refreshed");
    expect(engine.get(id)).toMatchObject({ status: "active", problem: undefined, refreshIntent: undefined });
  });

  it("still has its one probe when the first answer is lost, and keeps the mark while the provider is down", async () => {
    await restore();
    await attempt(() => engine.sent[0]?.fail(new GrantFailure({ kind: "transient" })));
    expect(engine.get(id).refreshIntent).toMatchObject({ sends: 0, restored: true });
    expect(await attempt(() => engine.sent[1]?.fail(new GrantFailure({ kind: "ambiguous" })), 2)).toBe(
      "retry",
    );
    expect(engine.get(id).refreshIntent).toMatchObject({ sends: 1, restored: true });
    expect(await attempt(() => engine.sent[2]?.fail(new GrantFailure({ kind: "ambiguous" })), 3)).toBe(
      "attention",
    );
    expect(engine.get(id).problem?.reason).toBe("outcome_unknown");
  });

  it("ends the consents that were under way: no link works twice", async () => {
    await engine.store.commit((tx) => {
      const connection = tx.getConnection(id);
      if (!connection) throw new Error("no connection");
      tx.putConnection({
        ...connection,
        pendingStateHash: stateHash(7),
        requestExpiresAtMs: engine.clock.nowMs() + 1000,
      });
      tx.putAuthorization(stateHash(7), pending(id));
      tx.putAuthorization(stateHash(8), pending("of nobody"));
    });
    expect(await restore()).toEqual({ marked: 1, endedRequests: 2 });
    expect(engine.store.getAuthorization(stateHash(7))).toBeUndefined();
    expect(engine.get(id)).toMatchObject({
      status: "active",
      pendingStateHash: undefined,
      requestExpiresAtMs: undefined,
    });
  });
});
