import { describe, expect, it } from "vitest";
import { type Connection, problemSentence } from "../../../src/model/connections/connection.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import type { Renewed } from "../../../src/oauth/token_response.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, startMs, tokenSet } from "../engine.js";

describe("Refresher", () => {
  const engine = perTest(() => new Engine());
  const accessToken = (id: string) => engine.reader.view(id)?.token?.credentials["access_token"];

  it("keeps the refresh token when the answer has none, however often", async () => {
    const first = tokenSet();
    const { id } = await engine.connected(first);
    for (let round = 1; round <= 3; round++) {
      const answer = { tokenSet: tokenSet({ refreshToken: undefined }) };
      expect(await engine.refreshed(id, answer)).toBe("refreshed");
      expect(engine.sent[round - 1]?.refreshToken).toBe(first.refreshToken?.reveal());
    }
    expect(engine.get(id).credentialRevision).toBe(4n);
  });

  it("takes a token whose lifetime the answer leaves out to live as long as the one before", async () => {
    const { id } = await engine.connected(tokenSet({ expiresInMs: hourMs }));
    for (const hour of [1, 2]) {
      engine.clock.advance(hourMs);
      await engine.refreshed(id, { tokenSet: tokenSet({ expiresInMs: undefined }) });
      expect(engine.get(id).expiresAtMs).toBe(startMs + (hour + 1) * hourMs);
    }
  });

  it("sends the rotated refresh token next", async () => {
    const { id } = await engine.connected();
    const second = tokenSet();
    await engine.refreshed(id, { tokenSet: second });
    void engine.refresher.refresh(id).catch(() => undefined);
    await engine.untilSent(2);
    expect(engine.sent[1]?.refreshToken).toBe(second.refreshToken?.reveal());
  });

  it("lets nobody see the new token before it is durable", async () => {
    const first = tokenSet();
    const { id } = await engine.connected(first);
    const seen: string[] = [];
    engine.changes.on("connections", () => seen.push(accessToken(id) ?? ""));
    const refreshed = engine.refresher.refresh(id);
    await engine.untilSent(1);
    expect(accessToken(id)).toBe(first.accessToken.reveal());
    const second = tokenSet();
    engine.sent[0]?.answer({ tokenSet: second });
    await refreshed;
    expect(seen).toEqual([second.accessToken.reveal()]);
  });

  it("writes the intent before it sends, and erases it with the outcome", async () => {
    const { id } = await engine.connected();
    const refreshed = engine.refresher.refresh(id);
    await engine.untilSent(1);
    expect(engine.get(id).refreshIntent).toEqual({
      ...{ credentialRevision: 1n, startedAtMs: startMs, sends: 1 },
      ...{ owner: engine.store.owner, attempt: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    });
    engine.sent[0]?.fail(new GrantFailure({ kind: "transient", httpStatus: 503 }));
    await refreshed;
    expect(engine.get(id).refreshIntent).toBeUndefined();
  });

  describe("withholds a token that must not be served, and keeps its refresh token", () => {
    /** The first token, the answer to its refresh, and the refresh token that lies in the store afterwards. */
    async function answered(violation: Omit<Renewed, "tokenSet">) {
      const [first, second] = [tokenSet(), tokenSet()];
      const { id } = await engine.connected(first);
      const outcome = await engine.refreshed(id, { tokenSet: second, ...violation });
      const connection = engine.get(id);
      expect(engine.refreshTokenOf(id)).toBe(second.refreshToken?.reveal());
      expect(accessToken(id)).toBe(first.accessToken.reveal());
      return { id, outcome, connection };
    }

    it.each([
      ["sub", "account_changed"],
      ["iss", "id_token_verification_failed"],
      ["aud", "id_token_verification_failed"],
      ["alg", "id_token_verification_failed"],
      ["exp", "id_token_verification_failed"],
    ] as const)(
      "for an id_token that fails %s: the old one lives until it expires",
      async (idTokenViolation, reason) => {
        const { id, outcome, connection } = await answered({ idTokenViolation });
        expect(outcome).toBe("attention");
        expect(connection).toMatchObject({ status: "active", problem: { reason }, credentialRevision: 2n });
        expect(engine.counted).toEqual([`failure ${reason}`]);
        expect(await engine.refresher.refresh(id)).toBe("not_refreshable");
        engine.scheduler.start();
        engine.clock.advance(hourMs);
        const ended = await engine.until(id, ({ status }) => status === "attention");
        expect(ended.problem?.reason).toBe(reason);
        expect(accessToken(id)).toBeUndefined();
        expect(engine.sent).toHaveLength(1);
      },
    );

    it("for an access token that no request can carry: it is tried again with the new refresh token", async () => {
      const violation = "the access token is longer than 64 KiB";
      const { id, outcome, connection } = await answered({ accessTokenViolation: violation });
      expect(outcome).toBe("retry");
      expect(connection.problem).toMatchObject({ reason: "refresh_failing" });
      expect(connection.problem?.retryAtMs).toBeGreaterThan(startMs);
      const third = tokenSet();
      expect(await engine.refreshed(id, { tokenSet: third })).toBe("refreshed");
      expect(accessToken(id)).toBe(third.accessToken.reveal());
      expect(engine.get(id)).toMatchObject({ problem: undefined, failedRefreshes: 0 });
    });
  });

  it("turns invalid_grant into attention", async () => {
    const { id } = await engine.connected();
    expect(
      await engine.refreshed(id, { kind: "invalid_grant", oauthError: "invalid_grant", httpStatus: 400 }),
    ).toBe("attention");
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "reauth_required" } });
    expect(engine.store.nextDueMs()).toBeUndefined();
  });

  it("retries what the provider did not process, with growing delays", async () => {
    const { id } = await engine.connected();
    const delays: number[] = [];
    for (let round = 1; round <= 4; round++) {
      expect(await engine.refreshed(id, { kind: "transient" })).toBe("retry");
      const connection = engine.get(id);
      expect(connection).toMatchObject({
        status: "active",
        failedRefreshes: round,
        refreshIntent: undefined,
      });
      delays.push((connection.problem?.retryAtMs ?? 0) - engine.clock.nowMs());
    }
    expect(delays).toEqual([500, 1000, 2000, 4000]);
  });

  it.each(["ambiguous", "rejected"] as const)("sends once more after %s, and never again", async (kind) => {
    const { id } = await engine.connected();
    for (const [round, outcome] of [
      [1, "retry"],
      [2, "attention"],
    ] as const) {
      const refreshed = engine.refresher.refresh(id);
      await engine.untilSent(round);
      expect(engine.get(id).refreshIntent?.sends).toBe(round);
      engine.sent[round - 1]?.fail(new GrantFailure({ kind }));
      expect(await refreshed).toBe(outcome);
    }
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "outcome_unknown" } });
    expect(await engine.refresher.refresh(id)).toBe("not_refreshable");
  });

  it("does not spend the probe on an answer that judged nothing", async () => {
    const { id } = await engine.connected();
    for (const kind of ["ambiguous", "transient", "transient"] as const) {
      expect(await engine.refreshed(id, { kind })).toBe("retry");
      expect(engine.get(id).refreshIntent?.sends).toBe(1);
    }
    expect(await engine.refreshed(id, { tokenSet: tokenSet() })).toBe("refreshed");
  });

  it("sends nothing when the daemon died during the probe", async () => {
    const { id } = await engine.connected();
    const refreshIntent = { credentialRevision: 1n, startedAtMs: startMs, sends: 2 };
    await engine.store.commit((tx) => tx.putUnannounced({ ...engine.get(id), refreshIntent }));
    expect(await engine.refresher.refresh(id)).toBe("attention");
    expect(engine.get(id).problem?.reason).toBe("outcome_unknown");
    expect(engine.sent).toHaveLength(0);
  });

  it("calls withdrawn consent what it is", async () => {
    const { id } = await engine.connected();
    await engine.refreshed(id, { kind: "invalid_grant", consentRevoked: true });
    expect(engine.get(id).problem?.reason).toBe("consent_revoked");
  });

  it("keeps a new token set that could not be written, and writes it instead of sending again", async () => {
    const { id } = await engine.connected();
    const second = tokenSet({ expiresInMs: 0.5 });
    const refreshed = engine.refresher.refresh(id);
    await engine.untilSent(1);
    // What the store refuses to encode fails its own commit and no other.
    engine.sent[0]?.answer({ tokenSet: second });
    await expect(refreshed).rejects.toThrow(RangeError);
    Object.assign(second, { expiresInMs: hourMs });
    expect(await engine.refresher.refresh(id)).toBe("refreshed");
    expect(engine.sent).toHaveLength(1);
    expect(accessToken(id)).toBe(second.accessToken.reveal());
  });

  const bare = { kind: "transient", httpStatus: 403, isRefusal: true } as const;

  it("gives up a grant that is refused without a word for an hour, and names the status", async () => {
    const { id } = await engine.connected();
    let attempts = 0;
    for (; engine.get(id).status === "active" && attempts < 100; attempts++) {
      engine.clock.jump(Math.max(0, (engine.get(id).problem?.retryAtMs ?? 0) - engine.clock.nowMs()));
      expect(await engine.refreshed(id, bare)).toBe(
        engine.get(id).status === "active" ? "retry" : "attention",
      );
      if (engine.clock.nowMs() < startMs + hourMs) expect(engine.get(id).status).toBe("active");
    }
    expect(engine.clock.nowMs()).toBeLessThan(startMs + 3 * hourMs);
    expect(attempts).toBeLessThan(15);
    const { problem } = engine.get(id);
    expect(problem?.reason).toBe("refresh_refused");
    expect(problem && problemSentence(problem)).toContain("HTTP status 403 (Forbidden)");
    expect(await engine.refresher.refresh(id)).toBe("not_refreshable");
  });

  it("gives it up after three refusals when another connection was accepted before each", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    const other = await engine.connection(profile);
    const outcomes: string[] = [];
    for (let round = 0; round < 4; round++) {
      for (const [each, answer] of [
        [other.id, true],
        [id, false],
      ] as const) {
        const outcome = await engine.refreshed(each, answer ? { tokenSet: tokenSet() } : bare);
        if (!answer) outcomes.push(outcome);
        engine.clock.jump(10_000);
      }
    }
    expect(outcomes).toEqual(["retry", "retry", "retry", "attention"]);
    expect(engine.get(id).problem?.reason).toBe("refresh_refused");
    expect(engine.get(other.id)).toMatchObject({ status: "active", problem: undefined });
  });

  describe("A2: after an answer that was lost", () => {
    const afterLoss = async (fields: Omit<GrantFailureFields, "kind">): Promise<Connection> => {
      const { id } = await engine.connected();
      await engine.refreshed(id, { kind: "ambiguous" });
      await engine.refreshed(id, { kind: "transient", ...fields });
      expect(engine.sent).toHaveLength(2);
      return engine.get(id);
    };

    it.each<[name: string, fields: Omit<GrantFailureFields, "kind">]>([
      ["without a word", { httpStatus: 403, isRefusal: true }],
      ["with Retry-After", { httpStatus: 403, retryAfterMs: 30_000 }],
      ["that calls itself temporary", { httpStatus: 400, oauthError: "temporarily_unavailable" }],
    ])("a 4xx %s is a refusal", async (_name, fields) => {
      expect(await afterLoss(fields)).toMatchObject({
        status: "attention",
        problem: { reason: "outcome_unknown" },
      });
    });

    it.each([425, 429, 500, 503])("the status %i is none", async (httpStatus) => {
      expect(await afterLoss({ httpStatus })).toMatchObject({
        status: "active",
        problem: { reason: "refresh_failing" },
      });
    });
  });

  it("never asks again sooner than Retry-After says", async () => {
    const { id } = await engine.connected();
    await engine.refreshed(id, { kind: "transient", httpStatus: 429, retryAfterMs: 120_000 });
    expect(engine.get(id).problem?.retryAtMs).toBe(startMs + 120_000);
  });

  it("probes after a lost answer no sooner than Retry-After says", async () => {
    const { id } = await engine.connected();
    const lost = { kind: "ambiguous", httpStatus: 504, retryAfterMs: 120_000 } as const;
    expect(await engine.refreshed(id, lost)).toBe("retry");
    expect(engine.get(id)).toMatchObject({
      problem: { retryAtMs: startMs + 120_000, firm: true },
      refreshIntent: { sends: 1 },
    });
  });

  it("calls a refusal after an unanswered request outcome_unknown, not reauth_required", async () => {
    const { id } = await engine.connected();
    await engine.refreshed(id, { kind: "ambiguous" });
    await engine.refreshed(id, { kind: "invalid_grant" });
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "outcome_unknown" } });
  });

  it("never sends two requests for one connection at once, and lets all callers share the one", async () => {
    const { id } = await engine.connected();
    const refreshes = Array.from({ length: 20 }, () => engine.refresher.refresh(id));
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet() });
    expect(new Set(await Promise.all(refreshes))).toEqual(new Set(["refreshed"]));
    expect(engine.sent).toHaveLength(1);
  });

  it.each(["answer", "failure"])(
    "drops the %s of a refresh whose connection was deleted meanwhile",
    async (kind) => {
      const { id } = await engine.connected();
      const refreshed = engine.refresher.refresh(id);
      await engine.untilSent(1);
      await engine.store.commit((tx) => tx.deleteConnection(id));
      if (kind === "answer") engine.sent[0]?.answer({ tokenSet: tokenSet() });
      else engine.sent[0]?.fail(new GrantFailure({ kind: "invalid_grant" }));
      await refreshed;
      expect(engine.store.getConnection(id)).toBeUndefined();
      expect(engine.store.getCredential(id)).toBeUndefined();
    },
  );

  it("does not let a late failure end a newer revision", async () => {
    const profile = await engine.provider("op");
    const { id } = await engine.connection(profile);
    const refreshed = engine.refresher.refresh(id);
    await engine.untilSent(1);
    const consented = tokenSet();
    await engine.store.commit((tx) =>
      engine.writer.write(tx, {
        connection: engine.get(id),
        profile,
        tokenSet: consented,
        receivedAtMs: engine.clock.nowMs(),
      }),
    );
    engine.sent[0]?.fail(new GrantFailure({ kind: "invalid_grant" }));
    await refreshed;
    expect(engine.get(id)).toMatchObject({ status: "active", credentialRevision: 2n, problem: undefined });
    expect(accessToken(id)).toBe(consented.accessToken.reveal());
  });

  it("sends nothing when the stored credential cannot be opened, and says data_loss", async () => {
    const { id } = await engine.connected();
    const stored = engine.store.getCredential(id);
    const ciphertext = Buffer.from(stored?.sealed.ciphertext ?? []);
    ciphertext[0] = (ciphertext[0] ?? 0) ^ 1;
    if (!stored) throw new Error("no credential");
    await engine.store.commit((tx) =>
      tx.putCredential(id, { ...stored, sealed: { ...stored.sealed, ciphertext } }),
    );
    expect(engine.reader.view(id)).toMatchObject({ token: undefined, problem: { reason: "data_loss" } });
    expect(await engine.refresher.refresh(id)).toBe("attention");
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "data_loss" } });
    expect(engine.sent).toHaveLength(0);
  });

  it("does not put an older credential back instead of a newer one", async () => {
    const { id } = await engine.connected();
    const old = engine.store.getCredential(id);
    await engine.refreshed(id, { tokenSet: tokenSet() });
    if (!old) throw new Error("no credential");
    await engine.store.commit((tx) => tx.putCredential(id, old));
    expect(engine.reader.view(id)?.problem?.reason).toBe("data_loss");
  });

  it("has nothing to refresh without a refresh token", async () => {
    const { id } = await engine.connection(
      await engine.provider("op"),
      tokenSet({ refreshToken: undefined }),
    );
    expect(await engine.refresher.refresh(id)).toBe("not_refreshable");
    expect(engine.sent).toHaveLength(0);
  });

  it("retries without sending anything when discovery cannot be had", async () => {
    const discovered = { enableDiscovery: true, issuer: "https://op.example", authUrl: "", tokenUrl: "" };
    const profile = await engine.provider("op", discovered);
    const { id } = await engine.connection(profile);
    expect(await engine.refresher.refresh(id)).toBe("retry");
    expect(engine.sent).toHaveLength(0);
    expect(engine.get(id)).toMatchObject({ status: "active", refreshIntent: undefined, failedRefreshes: 1 });
  });
});
