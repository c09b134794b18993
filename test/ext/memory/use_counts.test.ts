import { describe, expect, it } from "vitest";
import type { TokenPurpose } from "../../../src/domain/access/access.js";
import { sessionTable, useTable } from "../../../src/ext/memory/tables.js";
import { StoredUseCounts } from "../../../src/ext/memory/use_counts.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { describedHeaders, describedUrl } from "../../../src/model/access/request_facts.js";
import { parseUseLimit } from "../../../src/model/access/use_limit.js";
import { policyOf } from "../../domain/access/rule_cells.js";
import { Engine, hourMs, tokenSet } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";
import fc from "../../property.js";
import { temporaryFolder } from "../../temporary_folder.js";

const inShadow = "{ then: deny, shadow: true, when: 'request.path == \"/never\"' }";
const rules = policyOf(`
  - { when: 'request.path == "/few"', then: allow, uses: 3 }
  - { when: 'request.path == "/asked"', then: ask, uses: 1 }
  - ${inShadow}
  - { then: allow }`);

function limitOf(text: string) {
  const limit = parseUseLimit(text);
  if (typeof limit === "string") throw new Error(limit);
  return limit;
}

class World {
  readonly engine: Engine;
  counts: StoredUseCounts;
  #id: string | undefined;

  constructor(readonly folder = temporaryFolder()) {
    this.engine = new Engine(folder, undefined, { tables: [sessionTable, useTable], isAudited: true });
    const { store, keys, access, changes, clock } = this.engine;
    const refusal = () => undefined;
    this.counts = new StoredUseCounts({ store, keys, access, changes, clock, refusal });
    this.counts.start();
    this.engine.uses = this.counts;
  }

  close(): Promise<void> {
    return this.engine.close();
  }

  /** The same store in another life. */
  async again(): Promise<World> {
    await this.close();
    return new World(this.folder);
  }

  async key(name: string, uses?: string): Promise<Principal> {
    const given = { name, role: "agent", restriction: { userIds: ["*"] }, expiresAtMs: undefined } as const;
    await this.engine.keys.create({ ...given, ...(uses !== undefined && { uses: limitOf(uses) }) }, owner);
    return { name: `key:${name}`, kind: "key" };
  }

  async connection(): Promise<string> {
    const [first] = this.engine.store.listConnections({ limit: 1 });
    this.#id ??=
      first?.id ??
      (await this.engine.connected(tokenSet({ expiresInMs: undefined, refreshToken: undefined }))).id;
    return this.#id;
  }

  /** @returns "token", or the refusal */
  async read(principal: Principal, asking?: TokenPurpose): Promise<string> {
    const id = await this.connection();
    try {
      await this.engine.tokens.getToken(id, 0, principal, asking);
      return "token";
    } catch (error) {
      return (error as Error).message;
    }
  }

  send(principal: Principal, path: string): Promise<string> {
    const line = { ...describedHeaders("GET", [], true), ...describedUrl(`https://api.example${path}`) };
    const request = { ...line, session: "run", body: { size: 0, digest: "", bytes: undefined } };
    return this.read({ ...principal, isProxied: true }, { request, signal: new AbortController().signal });
  }
}

const tokens = (answers: readonly string[]): number => answers.filter((answer) => answer === "token").length;

describe("a limit of uses of an API key", () => {
  const world = perTest(() => new World());

  it("gives so many tokens, names itself, and tells that a retry is of no use", async () => {
    const claude = await world.key("claude.github.0a1b2c", "2");
    expect([await world.read(claude), await world.send(claude, "/x"), await world.read(claude)]).toEqual([
      "token",
      "token",
      "the limit of uses of the API key claude.github.0a1b2c is reached (2): do not retry, because only an operator renews it",
    ]);
    expect(await world.read(await world.key("other"))).toBe("token");
    const { events } = world.engine.store.listAuditEvents({ limit: 50 });
    expect(
      events.map(({ event }) => event).filter(({ reason }) => reason === "uses_exhausted"),
    ).toMatchObject([{ type: "token_retrieval_failed", principal: claude.name }]);
  });

  it("begins anew with each period, which begins with its first use, and says when", async () => {
    const { clock } = world.engine;
    const claude = await world.key("claude", "2/h");
    await clock.advance(hourMs / 2);
    await world.read(claude);
    await clock.advance(hourMs - 1);
    await world.read(claude);
    const end = new Date(clock.nowMs() + 1).toISOString();
    expect(await world.read(claude)).toBe(
      `the limit of uses of the API key claude is reached (2/h): retry after ${end}`,
    );
    await expect(
      Promise.resolve(world.engine.tokens.getToken(await world.connection(), 0, claude)),
    ).rejects.toMatchObject({ reason: "USES_EXHAUSTED", reached: { limit: 2, retryAfterMs: 1_000 } });
    await clock.advance(1);
    expect([await world.read(claude), await world.read(claude)]).toEqual(["token", "token"]);
    expect(await world.read(claude)).toContain("retry after");
  });

  it("does not count a call that gets nothing", async () => {
    const claude = await world.key("claude", "2");
    const none = "00000000-0000-4000-8000-000000000000";
    const failed = async () => await world.engine.tokens.getToken(none, 0, claude);
    for (let at = 0; at < 5; at++) await expect(failed()).rejects.toThrow("not found");
    expect(tokens([await world.read(claude), await world.read(claude), await world.read(claude)])).toBe(2);
  });

  it("sends nothing on streams, of which nobody would count the uses", async () => {
    const claude = await world.key("claude", "2");
    const connection = world.engine.store.getConnection(await world.connection());
    if (!connection) throw new Error("no connection");
    const sees = (who: Principal, forUses: boolean) =>
      world.engine.rules.tokenView(who, forUses).seesConnection(connection);
    const boss = await world.key("boss");
    expect([sees(claude, false), sees(claude, true), sees({ ...claude, isProxied: true }, true)]).toEqual([
      false,
      false,
      true,
    ]);
    expect(sees(boss, false)).toBe(true);
  });

  it("is reset by an operator, on record, and ends with its key", async () => {
    const claude = await world.key("claude", "1");
    await world.read(claude);
    expect(await world.read(claude)).toContain("do not retry");
    await world.counts.reset(claude.name, { name: "key:boss", kind: "key" });
    expect([await world.read(claude), (await world.read(claude)).length > 5]).toEqual(["token", true]);
    const { events } = world.engine.store.listAuditEvents({ limit: 50 });
    expect(events.map(({ event }) => event).filter(({ type }) => type === "uses.reset")).toMatchObject([
      { principal: "key:boss", reason: "key:claude" },
    ]);
    await expect(world.counts.reset("key:nobody", owner)).rejects.toThrow("principal not found");
    await world.engine.keys.revoke({ name: "claude" }, owner);
    await expect.poll(() => rowsOf(world)).toBe(0);
    expect(world.counts.list()).toEqual([]);
  });

  it("gives nothing where it is not counted, or cannot be stored, and then counts nothing", async () => {
    const claude = await world.key("claude", "1");
    world.engine.uses = undefined;
    expect(await world.read(claude)).toBe("uses are limited: this daemon counts no uses");
    world.engine.uses = world.counts;
    const { store } = world.engine;
    const id = await world.connection();
    const commit = store.commit.bind(store);
    store.commit = () => Promise.reject(new Error("full"));
    await expect(Promise.resolve(world.engine.tokens.getToken(id, 0, claude))).rejects.toThrow(
      "the use of a limit cannot be recorded",
    );
    store.commit = commit;
    expect([await world.read(claude), tokens([await world.read(claude)])]).toEqual(["token", 0]);
  });

  it("is durable before the token leaves", async () => {
    const claude = await world.key("claude", "5");
    await world.read(claude);
    const reading = world.engine.tokens.getToken(await world.connection(), 0, claude);
    expect(reading).toBeInstanceOf(Promise);
    await reading;
    // What another process would find after a kill.
    const found = new StoredUseCounts({ ...world.engine, refusal: () => undefined });
    const uses = [
      { principalName: "key:claude", limit: { uses: 5, perMs: undefined }, rule: "", what: "the key" },
    ];
    await expect(found.take(uses)).rejects.toThrow("were not read yet");
    found.start();
    expect(found.list()).toMatchObject([{ principal: "key:claude", used: 2, limit: { uses: 5 } }]);
  });
});

function rowsOf({ engine }: World): number {
  return engine.store.raw((databases) => [...useTable.of(databases).getRange({})].length);
}

describe("a limit of uses of a rule", () => {
  const world = perTest(() => new World());

  it("counts each agent, all of its grants together, and goes with the rule and not with its line", async () => {
    world.engine.access.setPolicy(rules);
    const [github, slack] = [await world.key("claude.github.0a1b2c"), await world.key("claude.slack.0a1b2d")];
    const answers = [];
    for (const who of [github, slack, github, slack]) answers.push(await world.send(who, "/few"));
    expect(answers.slice(0, 3)).toEqual(["token", "token", "token"]);
    expect(answers[3]).toBe(
      "the limit of uses of the rule in line 4 of the policy file for key:claude.slack.0a1b2d is reached (3): do not retry, because only an operator renews it",
    );
    expect(await world.send(github, "/other")).toBe("token");
    expect(await world.send(await world.key("other"), "/few")).toBe("token");
    world.engine.access.setPolicy(
      policyOf(`
  - { when: 'request.path == "/new"', then: deny }
  - { when: 'request.path == "/few"', then: allow, uses: 3 }`),
    );
    expect(await world.send(github, "/few")).toContain("the rule in line 5 of the policy file");
    expect(world.counts.list()).toMatchObject([
      { principal: "key:claude", ruleLine: 5, used: 3 },
      { principal: "key:other", ruleLine: 5, used: 1 },
    ]);
    await world.counts.reset("key:claude", owner);
    expect(await world.send(slack, "/few")).toBe("token");
  });

  it("asks nobody about a request that it refuses, and counts what a person approves", async () => {
    world.engine.access.setPolicy(rules);
    const claude = await world.key("claude");
    let asked = 0;
    world.engine.approver = () => Promise.resolve({ approver: `key:boss-${asked++}` });
    expect(await world.send(claude, "/asked")).toBe("token");
    expect(await world.send(claude, "/asked")).toContain("the rule in line 5");
    expect(asked).toBe(1);
  });

  it("counts nothing at the key where the rule refuses, and the other way round", async () => {
    world.engine.access.setPolicy(rules);
    const claude = await world.key("claude", "5");
    for (let at = 0; at < 6; at++) await world.send(claude, "/few");
    expect(world.counts.list()).toMatchObject([
      { ruleLine: 0, used: 3 },
      { ruleLine: 4, used: 3 },
    ]);
    for (let at = 0; at < 6; at++) await world.send(claude, "/other");
    await world.counts.reset("key:claude", owner);
    for (let at = 0; at < 4; at++) await world.send(claude, "/other");
    expect(tokens([await world.send(claude, "/few"), await world.send(claude, "/few")])).toBe(1);
    expect(world.counts.list()).toMatchObject([
      { ruleLine: 0, used: 5 },
      { ruleLine: 4, used: 1 },
    ]);
  });
});

describe("limits of uses, whatever happens", () => {
  const step = fc.oneof(
    fc.record({ key: fc.constantFrom("count", "hourly"), at: fc.constantFrom("token", "few", "failing") }),
    fc.constant("restart" as const),
    fc.integer({ min: 1, max: 40 }),
  );

  it("are exact under 500 requests at a time, of keys and of rules", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        async (own, rule) => {
          const world = new World();
          try {
            world.engine.access.setPolicy(policyOf(`[{ then: allow, uses: ${rule}/d }]`));
            const keys = [await world.key("claude.github.0a1b2c", `${own}`), await world.key("claude")];
            await world.connection();
            const asked = [...Array(500)].map(async (_, at) => {
              const claude = keys[at % 2] as Principal;
              return {
                at: at % 2,
                answer: await (at % 3 === 0 ? world.read(claude) : world.send(claude, "/x")),
              };
            });
            const answers = await Promise.all(asked);
            const given = [0, 1].map((which) =>
              tokens(answers.filter(({ at }) => at === which).map(({ answer }) => answer)),
            );
            const all = (given[0] ?? 0) + (given[1] ?? 0);
            expect(all).toBe(Math.min(rule, Math.min(own, 250) + 250));
            expect(given[0]).toBeLessThanOrEqual(own);
            const again = await world.again();
            expect(again.counts.list().find(({ ruleLine }) => ruleLine === 0)?.used).toBe(given[0]);
            await again.close();
          } finally {
            await world.close().catch(() => undefined);
          }
        },
      ),
      { numRuns: 6 },
    );
  });

  it("are the same after a restart, where a use and a reset came at the same moment", async () => {
    const world = new World();
    const count = await world.key("count", "6");
    await world.connection();
    expect(await world.read(count)).toBe("token");
    const reset = world.counts.reset("key:count", owner);
    const [answer] = await Promise.all([world.read(count), reset]);
    expect(answer).toBe("token");
    const { used } = world.counts.list()[0] ?? {};
    const again = await world.again();
    expect(again.counts.list()).toMatchObject([{ used }]);
    await again.close();
  });

  it("stay as they were where a reset cannot be stored", async () => {
    const world = new World();
    const count = await world.key("count", "2");
    for (let use = 0; use < 2; use++) expect(await world.read(count)).toBe("token");
    const { commit } = world.engine.store;
    world.engine.store.commit = async (change) => {
      await commit.call(world.engine.store, (tx) => {
        change(tx);
        throw new Error("the disk is full");
      });
      throw new Error("never");
    };
    await expect(world.counts.reset("key:count", owner)).rejects.toThrow("the disk is full");
    world.engine.store.commit = commit;
    expect(await world.read(count)).toContain("is reached");
    await world.close();
  });

  it("keep over a restart that a use came to nothing", async () => {
    const world = new World();
    const hourly = await world.key("hourly", "3/h");
    await world.connection();
    const none = "00000000-0000-4000-8000-000000000000";
    for (const answer of ["token", "token"]) expect(await world.read(hourly)).toBe(answer);
    await expect(Promise.resolve().then(() => world.engine.tokens.getToken(none, 0, hourly))).rejects.toThrow(
      "not found",
    );
    const again = await world.again();
    expect(await again.read(hourly)).toBe("token");
    expect(await again.read(hourly)).toContain("is reached");
    await again.close();
  });

  it("are never exceeded over restarts, failures, and periods", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        let world = new World();
        const keys = { count: await world.key("count", "6"), hourly: await world.key("hourly", "3/h") };
        await world.connection();
        const used = { count: 0, hourly: 0 };
        let sinceMs: number | undefined;
        try {
          for (const each of steps) {
            if (each === "restart") {
              const nowMs = world.engine.clock.nowMs();
              world = await world.again();
              await world.engine.clock.advance(Math.max(0, nowMs - world.engine.clock.nowMs()));
            } else if (typeof each === "number") await world.engine.clock.advance((each * hourMs) / 20);
            else {
              const nowMs = world.engine.clock.nowMs();
              if (sinceMs !== undefined && nowMs - sinceMs >= hourMs) {
                used.hourly = 0;
                sinceMs = undefined;
              }
              const limit = each.key === "count" ? 6 : 3;
              const principal = keys[each.key];
              if (each.at === "failing") {
                const none = "00000000-0000-4000-8000-000000000000";
                await Promise.resolve()
                  .then(() => world.engine.tokens.getToken(none, 0, principal))
                  .catch(() => undefined);
                if (each.key === "hourly" && used.hourly < limit) sinceMs ??= nowMs;
                continue;
              }
              const answer = await (each.at === "token"
                ? world.read(principal)
                : world.send(principal, "/few"));
              const isLeft = used[each.key] < limit;
              expect([each, answer === "token"]).toEqual([each, isLeft]);
              if (isLeft) used[each.key]++;
              if (isLeft && each.key === "hourly") sinceMs ??= nowMs;
            }
          }
        } finally {
          await world.close();
        }
      }),
      { numRuns: 25 },
    );
  });
});

it.each([
  ["20", { uses: 20, perMs: undefined }],
  ["100/h", { uses: 100, perMs: hourMs }],
  ["1/s", { uses: 1, perMs: 1_000 }],
  ["1000000/d", { uses: 1_000_000, perMs: 24 * hourMs }],
  ["100/hour", 'knows no unit "hour": write 100/h'],
  ["100/Min", 'knows no unit "Min": write 100/m'],
  ["100/week", 'knows no unit "week": the units are s, m, h, and d'],
  ["0", expect.stringContaining("must be 1 to 1000000 uses")],
  ["1000001", expect.stringContaining("must be 1 to 1000000 uses")],
  ["-1", expect.stringContaining("must be")],
  ["1.5/h", expect.stringContaining("must be")],
  ["100/", expect.stringContaining("must be")],
  ["", expect.stringContaining("must be")],
])("the limit %j is %j", (text, expected) => {
  expect(parseUseLimit(text)).toEqual(expected);
});
