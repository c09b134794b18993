import { describe, expect, it } from "vitest";
import { RejectedTokens } from "../../../src/domain/tokens/rejected_tokens.js";
import { at, owner } from "../../../src/model/access/principal.js";
import { DpopNonces } from "../../../src/oauth/dpop/dpop_nonces.js";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

const invalid = 'Bearer realm="api", error="invalid_token"';
const insufficient = 'Bearer error="insufficient_scope", scope="repo gist"';

/** The engine with what hears of refused tokens beside it. */
class Rejecting extends Engine {
  readonly apiNonces = new DpopNonces();
  readonly #rejected: RejectedTokens;

  constructor(maxRejectionsPerHour = 3) {
    super();
    this.#rejected = new RejectedTokens({ ...this, maxRejectionsPerHour });
  }

  report(connectionId: string, revision: bigint, status = 401, wwwAuthenticate = invalid, dpopNonce = "") {
    const token = { connectionId, revision, status, wwwAuthenticate, dpopNonce };
    return this.#rejected.report(token, at(owner, "unix"));
  }

  reasons(id: string): unknown[] {
    return this.events(id).flatMap(({ type, reason }) => (type === "token_rejected" ? [reason] : []));
  }
}

describe("a proof that an API refuses", () => {
  const engine = perTest(() => new Rejecting());
  const wanted = 'DPoP error="use_dpop_nonce", algs="ES256"';

  it("for its nonce says nothing of the token: the nonce is kept for proxies", async () => {
    const { id } = await engine.connected();
    for (let count = 0; count < 5; count++) {
      const answer = await engine.report(id, 1n, 401, wanted, `n-${count}`);
      expect(answer).toEqual({ outcome: "nonce_wanted", revision: 1n });
    }
    expect(engine.apiNonces.get(id)).toBe("n-4");
    expect([engine.sent.length, engine.reasons(id)]).toEqual([0, []]);
  });

  it.each([
    [wanted, "dpop_nonce"],
    ['DPoP error="invalid_dpop_proof"', "www_authenticate"],
  ])("%s is no report of a token without what it is about", async (challenge, field) => {
    const { id } = await engine.connected();
    await expect(engine.report(id, 1n, 401, challenge)).rejects.toMatchObject({ violations: [{ field }] });
    expect(engine.sent).toEqual([]);
  });
});

describe("RejectedTokens", () => {
  const world = perTest(() => new Rejecting());

  it("refreshes once for fifty reports of one revision, and records what caused it", async () => {
    const { id } = await world.connected();
    const reports = Array.from({ length: 50 }, () => world.report(id, 1n));
    (await world.untilSent(1)).answer({ tokenSet: tokenSet() });
    for (const rejection of await Promise.all(reports)) {
      expect(rejection).toEqual({ outcome: "refreshed", revision: 2n });
    }
    expect(world.sent).toHaveLength(1);
    expect(world.reasons(id)).toEqual(["401 invalid_token"]);
    expect(world.events(id)[1]).toMatchObject({ principal: "owner", origin: "unix", revision: 1n });
  });

  it("does nothing about a late report, whatever it says", async () => {
    const { id } = await world.connected();
    const first = world.report(id, 1n);
    (await world.untilSent(1)).answer({ tokenSet: tokenSet() });
    await first;
    const before = [world.get(id), world.events(id)];
    for (const header of [invalid, insufficient, ""]) {
      expect(await world.report(id, 1n, 401, header)).toEqual({ outcome: "superseded", revision: 2n });
    }
    expect([world.get(id), world.events(id)]).toEqual(before);
    expect(world.sent).toHaveLength(1);
  });

  it("acts on so many reports of one connection in an hour, those of others apart", async () => {
    const { id } = await world.connected();
    for (const revision of [1n, 2n, 3n]) {
      const report = world.report(id, revision);
      (await world.untilSent(Number(revision))).answer({ tokenSet: tokenSet() });
      await report;
      world.clock.advance(60_000);
    }
    await expect(world.report(id, 4n)).rejects.toMatchObject({
      reason: "RATE_LIMITED",
      reached: { limit: 3, retryAfterMs: hourMs - 3 * 60_000, setting: "NEXUS_MAX_REJECTIONS_PER_HOUR" },
    });
    expect(await world.report(id, 3n)).toMatchObject({ outcome: "superseded" });
    expect(world.sent).toHaveLength(3);
    world.clock.advance(hourMs - 3 * 60_000);
    const report = world.report(id, 4n);
    (await world.untilSent(4)).answer({ tokenSet: tokenSet() });
    expect(await report).toEqual({ outcome: "refreshed", revision: 5n });
  });

  it("refuses what it cannot act on, and changes nothing", async () => {
    const { id } = await world.connected();
    const before = world.get(id);
    await expect(world.report(id, 2n)).rejects.toThrow("revision: is ahead of the connection's, which is 1");
    for (const header of [
      "",
      'Bearer error="access_denied"',
      "Basic realm=x",
      insufficient.replace("Bearer", "Basic"),
    ]) {
      await expect(world.report(id, 1n, 403, header)).rejects.toThrow(
        "www_authenticate: must name the error",
      );
    }
    expect(world.get(id)).toEqual(before);
    const still = await world.connection(
      await world.provider("still"),
      tokenSet({ refreshToken: undefined }),
    );
    await expect(world.report(still.id, 1n)).rejects.toMatchObject({ reason: "NOT_REFRESHABLE" });
    expect(world.reasons(still.id)).toEqual(["401 invalid_token"]);
  });

  it("says that a refresh failed to all that share it, and tries again when asked again", async () => {
    const { id } = await world.connected();
    const reports = [world.report(id, 1n), world.report(id, 1n)];
    (await world.untilSent(1)).fail(new GrantFailure({ kind: "transient" }));
    for (const settled of await Promise.allSettled(reports)) {
      expect(settled).toMatchObject({ status: "rejected", reason: { kind: "unavailable" } });
    }
    const again = world.report(id, 1n);
    (await world.untilSent(2)).answer({ tokenSet: tokenSet() });
    expect(await again).toMatchObject({ outcome: "refreshed" });
  });

  it("does not refresh the revision that a consent brings while the report waits for its turn", async () => {
    await world.provider("op");
    const { connectionId: id } = await world.consent(tokenSet());
    const { state } = await world.request({ connectionId: id });
    let exchanged = (): void => {};
    const asked = new Promise<void>((resolve) => {
      world.exchangeCode = () => {
        resolve();
        return new Promise((answer) => {
          exchanged = () => answer(tokenSet());
        });
      };
    });
    const finished = world.finish(state);
    await asked;
    const report = world.report(id, 1n);
    while (world.reasons(id).length === 0) await world.store.commit(() => undefined);
    exchanged();
    await finished;
    expect(await report).toEqual({ outcome: "refreshed", revision: 2n });
    expect(world.sent).toEqual([]);
  });
});
