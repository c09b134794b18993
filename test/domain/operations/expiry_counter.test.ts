import { describe, expect, it } from "vitest";
import { ExpiryCounter } from "../../../src/domain/operations/expiry_counter.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

describe("ExpiryCounter", () => {
  const engine = perTest(() => new Engine());
  const counter = perTest(() => new ExpiryCounter(engine));

  /** `[within, count, refreshable]` of the classes that hold something. */
  async function counts() {
    const { classes } = await counter.read();
    return classes
      .filter(({ count }) => count > 0)
      .map(({ within, count, refreshable }) => [within, count, refreshable]);
  }

  it("tells tokens by the time until they end, and which the daemon can refresh", async () => {
    const profile = await engine.provider("op");
    const add = (expiresInMs: number | undefined, more: object = {}) =>
      engine.connection(profile, tokenSet({ expiresInMs, ...more }));
    await add(60_000);
    await add(hourMs, { refreshToken: undefined });
    await add(hourMs);
    await add(30 * 24 * hourMs);
    await add(undefined, { refreshToken: undefined });
    const ended = await add(hourMs);
    await engine.store.commit((tx) => tx.putConnection({ ...ended, status: "revoked" }));
    expect(await counts()).toEqual([
      [5 * 60_000, 1, 1],
      [hourMs, 2, 1],
      ["later", 1, 1],
      ["unlimited", 1, 0],
    ]);
    expect(await counter.read()).toMatchObject({ counted: 6, stored: 6 });
    engine.clock.advance(2 * hourMs);
    expect(await counts()).toEqual([
      [0, 3, 2],
      ["later", 1, 1],
      ["unlimited", 1, 0],
    ]);
  });

  it("counts no more often than every 30 seconds, once for all that ask meanwhile", async () => {
    const profile = await engine.provider("op");
    await engine.connection(profile);
    const [one, other] = await Promise.all([counter.read(), counter.read()]);
    expect(one).toBe(other);
    await engine.connection(profile);
    engine.clock.advance(29_000);
    expect(await counter.read()).toBe(one);
    engine.clock.advance(1_000);
    expect(await counter.read()).toMatchObject({ counted: 2 });
  });

  it("goes through more connections than it decodes in one stretch, each once", async () => {
    const profile = await engine.provider("op");
    const { id: _id, ...rest } = await engine.connection(profile);
    await engine.store.commit((tx) => {
      for (let index = 0; index < 1_200; index++) {
        const id = `${String(index).padStart(8, "0")}-0000-4000-8000-000000000000`;
        tx.putConnection({ ...rest, id });
      }
    });
    expect(await counter.read()).toMatchObject({ counted: 1_201, stored: 1_201 });
    expect(await counts()).toEqual([[hourMs, 1_201, 1_201]]);
  });
});
