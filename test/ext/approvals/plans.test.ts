import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import type { HeldRequest } from "../../../src/domain/access/request_rules.js";
import { type PlanEntry, Plans } from "../../../src/ext/approvals/plans.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import { PlanSchema } from "../../../src/gen/nexus/v1/approval_pb.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import { Changes, type WaitingRequest } from "../../../src/runtime/changes.js";
import { Store } from "../../../src/store/store.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const boss: Principal = { name: "key:boss", kind: "key" };
const claude: Principal = { name: "key:claude", kind: "key" };
const startMs = 1_800_000_000_000;
const hourMs = 3_600_000;
const asking = readPolicy("rules: [{ then: ask }]");

class World {
  readonly clock: ManualClock;
  readonly changes = new Changes();
  readonly store: Store;
  readonly access: AccessControl;
  readonly plans: Plans;
  readonly revoked = new Set<string>();
  isStoreBroken = false;

  constructor(
    readonly folder = temporaryFolder(),
    nowMs = startMs,
    { isRestored = false, policy = asking as typeof asking | undefined } = {},
  ) {
    this.clock = new ManualClock(nowMs);
    const { clock, changes } = this;
    this.store = Store.open({ folder, nowMs });
    this.access = new AccessControl({
      ...{ clock, changes, store: { getConnection: () => undefined } as never },
      keys: {
        find: (name) =>
          ({ role: "agent", ...(this.revoked.has(name) && { revokedAtMs: clock.nowMs() }) }) as never,
      },
    });
    if (policy) this.access.setPolicy(policy);
    this.plans = new Plans({
      ...{ clock, changes, access: this.access, log: silentLog },
      names: { findFor: ({ label }) => (label === "none" ? undefined : `c-${label || 1}`) },
      urlOf: (link) => `https://console.example/approvals/${link}`,
      store: {
        commit: async (change) => {
          if (this.isStoreBroken) throw new Error("the disk is full");
          return await this.store.commit(change);
        },
        raw: (read) => this.store.raw(read),
        epoch: isRestored ? "another" : this.store.epoch,
      },
    });
    this.plans.start();
  }

  async close(): Promise<void> {
    this.plans.stop();
    await this.store.settled();
    await this.store.close();
  }

  async again(afterMs = 0, life: ConstructorParameters<typeof World>[2] = {}): Promise<World> {
    await this.close();
    return new World(this.folder, this.clock.nowMs() + afterMs, life);
  }

  get events() {
    return this.store
      .listAuditEvents({ limit: 100 })
      .events.map(({ event }) => event)
      .reverse();
  }

  request(
    {
      count = 3,
      lifetimeMs = hourMs,
      label = "",
      reason = "Tell the team",
      url = "https://api.github.com/{any}",
    } = {},
    principal = claude,
  ) {
    const requests = [{ provider: "github", method: "POST", url, label, ...(count > 0 && { count }) }];
    const plan = create(PlanSchema, {
      userId: "ada",
      reason,
      lifetime: durationFromMs(lifetimeMs),
      requests,
    });
    return this.plans.request(plan, principal);
  }

  async approved(...args: Parameters<World["request"]>): Promise<PlanEntry> {
    const entry = await this.request(...args);
    await this.answer(entry, true);
    return entry;
  }

  answer({ record }: PlanEntry, approves: boolean, reason = "", by = boss) {
    const digest = Buffer.from(record.digest).toString("hex");
    return this.plans.decide({ id: record.id, digest, approves, extent: undefined, reason }, by);
  }

  /** Who approved the plan that covers it, or why it is refused; undefined where a person is asked. */
  async use({
    principal = claude,
    path = "/x",
    connectionId = "c-1",
    isPlain = false,
    policyDigest = asking.digest,
  } = {}) {
    const held: HeldRequest = {
      ...{ principal, policyDigest, signal: new AbortController().signal },
      connection: { connectionId, userId: "ada", provider: { id: "p", name: "github" } },
      request: {
        ...{ method: "POST", host: "api.github.com", target: path, headers: new Map(), body: undefined },
        ...{ session: undefined, ...(isPlain && { isPlain }) },
      },
      rule: {
        providers: undefined,
        when: undefined,
        verdict: "ask",
        because: "",
        extent: [],
        asks: new Set(),
        line: 1,
      },
      use: { rule: "line 1 of 9f86" },
    };
    const answer = await this.plans.use(held);
    return answer instanceof Error ? answer.message : answer;
  }
}

describe("a plan", () => {
  const world = perTest(() => new World());

  it("covers what a person approved, as often as it says, and each step is on record", async () => {
    const told: WaitingRequest[] = [];
    world.changes.on("requestHeld", (waiting) => void told.push(waiting));
    const entry = await world.request({ count: 2 });
    expect(await world.use()).toBeUndefined();
    await world.answer(entry, true);
    expect([await world.use(), await world.use({ path: "/y" }), await world.use()]).toEqual([
      "key:boss",
      "key:boss",
      undefined,
    ]);
    expect(world.plans.list()).toEqual([]);
    const { record } = entry;
    const about = `key:claude: plan ${record.id} of 1 template (sha256:${Buffer.from(record.digest).toString("hex")})`;
    await world.store.settled();
    expect(
      world.events.map(({ type, principal, reason, approver }) => [type, principal, reason, approver]),
    ).toEqual([
      ["plan.asked", "key:claude", about, undefined],
      ["plan.approved", "key:boss", about, "key:boss"],
      ["plan.used", "key:claude", `${record.id}: POST api.github.com/x`, "key:boss"],
      ["plan.used", "key:claude", `${record.id}: POST api.github.com/y`, "key:boss"],
      ["plan.ended", "daemon", `${about}: all of it was used`, "key:boss"],
    ]);
  });

  it("covers three of five hundred requests at the same moment, if its count is 3", async () => {
    await world.approved({ count: 3 });
    const answers = await Promise.all(Array.from({ length: 500 }, () => world.use()));
    expect(answers.filter((one) => one === "key:boss")).toHaveLength(3);
    expect(answers.filter((one) => one === undefined)).toHaveLength(497);
  });

  it("covers any number without a count", async () => {
    await world.approved({ count: 0 });
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.use()));
    expect(new Set(answers)).toEqual(new Set(["key:boss"]));
  });

  it("covers nothing of another caller, connection, scheme, or policy file", async () => {
    await world.approved();
    expect(await world.use({ principal: { name: "key:other", kind: "key" } })).toBeUndefined();
    expect(
      await world.use({ principal: { ...claude, onBehalfOf: { name: "x", restrictions: [] } } }),
    ).toBeUndefined();
    expect(await world.use({ connectionId: "c-2" })).toBeUndefined();
    expect(await world.use({ isPlain: true })).toBeUndefined();
    expect(await world.use({ policyDigest: "another" })).toBeUndefined();
    expect(await world.use({ path: "/a/b" })).toBeUndefined();
    expect(await world.use()).toBe("key:boss");
  });

  it("covers nothing more once the daemon stops, whatever is being stored", async () => {
    await world.approved({ count: 1 });
    const use = world.use();
    world.plans.stop();
    expect([await use, await world.use()]).toEqual(["key:boss", "the daemon stops: send the request again"]);
  });

  it("is one plan however often it is asked for, and a denial stays", async () => {
    const entry = await world.request();
    expect(await world.request()).toBe(entry);
    await world.answer(entry, false, "too much");
    expect(await world.request()).toBe(entry);
    expect(entry.record).toMatchObject({ approved: false, reason: "too much" });
    expect(world.plans.find(entry.record.id, claude)).toBe(entry);
    expect(await world.use()).toBeUndefined();
    expect(world.plans.list()).toEqual([]);
    await expect(world.answer(entry, true)).rejects.toThrow("request not found");
    expect(await world.request({ reason: "another" })).not.toBe(entry);
  });

  it("is approved by nobody who asked for it, but the owner, and only as it was read", async () => {
    const entry = await world.request();
    await expect(world.answer(entry, true, "", claude)).rejects.toThrow("cannot approve it");
    const given = { id: entry.record.id, approves: true, extent: undefined };
    await expect(world.plans.decide({ ...given, digest: "00" }, boss)).rejects.toThrow("read it again");
    const digest = Buffer.from(entry.record.digest).toString("hex");
    await expect(world.plans.decide({ ...given, digest, extent: "hour" }, boss)).rejects.toThrow("extent");
    expect(await world.plans.decide({ ...given, id: "0123", digest }, boss)).toBe(false);
    const own = await world.request({}, owner);
    await world.answer(own, true, "", owner);
    expect(await world.use({ principal: owner })).toBe("owner");
  });

  it("is found by its own caller alone, and its link leads to it until it is decided", async () => {
    const entry = await world.request();
    expect(() => world.plans.find(entry.record.id, boss)).toThrow("request not found");
    const link = world.plans.linkOf(entry);
    expect(world.plans.urlOf(entry)).toBe(`https://console.example/approvals/${link}`);
    expect(world.plans.linked(link)).toBe(entry);
    expect(world.plans.linked(`${entry.record.id}.${"A".repeat(32)}`)).toBeUndefined();
    await world.answer(entry, true);
    expect([world.plans.linked(link), world.plans.urlOf(entry)]).toEqual([undefined, undefined]);
  });

  it("is refused without its connection, and the eleventh of a caller", async () => {
    await expect(world.request({ label: "none" })).rejects.toThrow("connection not found");
    for (let each = 0; each < 10; each++) await world.request({ reason: `task ${each}` });
    await expect(world.request({ reason: "one more" })).rejects.toMatchObject({ reason: "TOO_MANY_PLANS" });
    await world.request({}, boss);
  });
});

describe("a plan ends", () => {
  const world = perTest(() => new World());
  const ends = async (why: string, end: (entry: PlanEntry) => unknown) => {
    const entry = await world.approved();
    await end(entry);
    expect(await world.use()).toBeUndefined();
    await world.store.settled();
    expect(world.events.at(-1)).toMatchObject({ type: "plan.ended", reason: expect.stringMatching(why) });
    const next = await world.again();
    expect(next.plans.list()).toEqual([]);
    await next.close();
  };

  it("with its time", () => ends(": its time is over$", () => world.clock.advance(hourMs)));
  it("with another policy file, even if the first one comes back", () =>
    ends(": the policy file has changed$", () => {
      world.access.setPolicy(readPolicy("rules: [{ then: ask, because: new }]"));
      world.access.setPolicy(asking);
    }));
  it("with a stop of its caller, even if that is lifted", () =>
    ends(": its caller has ended$", () => {
      world.access.setStopped(new Set(["key:claude"]));
      world.access.setStopped(new Set());
    }));
  it("with the key of its caller", () =>
    ends(": its caller has ended$", () => {
      world.revoked.add("claude");
      world.changes.emit("principalEnded", "key:claude");
    }));
  it("when a person takes it back", () =>
    ends(": taken back: enough$", (entry) => world.answer(entry, false, "enough")));
  it("when nobody answers", async () => {
    await world.request();
    await world.clock.advance(hourMs);
    await world.store.settled();
    expect(world.events.at(-1)?.reason).toMatch(/: nobody answered in time$/);
    expect(world.plans.list()).toEqual([]);
  });
  it("with the credential of its caller, if that is sooner", async () => {
    const entry = await world.approved({}, { ...claude, expiresAtMs: startMs + 60_000 });
    expect(Number(entry.record.expiresAtMs)).toBe(startMs + 60_000);
  });
});

describe("a plan in the store", () => {
  const world = perTest(() => new World());

  it("has each use before its request is let go, so that a kill makes it at most one too few", async () => {
    const entry = await world.approved({ count: 3 });
    await world.use();
    await world.use();
    const next = await world.again();
    expect(next.plans.list().map(({ record }) => record.used)).toEqual([[2]]);
    expect(next.plans.find(entry.record.id, claude).isDecided).toBe(true);
    expect([await next.use(), await next.use()]).toEqual(["key:boss", undefined]);
    await next.close();
  });

  it("waits on after a restart, before the policy file is read too, and its link still works", async () => {
    const entry = await world.request();
    const link = world.plans.linkOf(entry);
    const next = await world.again(0, { policy: undefined });
    const found = next.plans.linked(link);
    expect(found?.record.digest).toEqual(entry.record.digest);
    next.access.setPolicy(asking);
    if (found) await next.answer(found, true);
    expect(await next.use()).toBe("key:boss");
    await next.close();
  });

  it.each([
    ["in another store", 0, { isRestored: true }],
    ["after its end", hourMs, {}],
    ["under another policy file", 0, { policy: readPolicy("default: deny") }],
  ])("is not there %s", async (_, afterMs, life) => {
    await world.approved();
    const next = await world.again(afterMs, life);
    expect(next.plans.list()).toEqual([]);
    await next.close();
  });

  it("counts nothing that it could not store, and is not approved then", async () => {
    const entry = await world.request({ count: 1 });
    world.isStoreBroken = true;
    await expect(world.answer(entry, true)).rejects.toThrow("the disk is full");
    await expect(world.request({ reason: "another" })).rejects.toThrow("the disk is full");
    world.isStoreBroken = false;
    expect(world.plans.list()).toHaveLength(1);
    expect(await world.use()).toBeUndefined();
    await world.answer(entry, true);
    world.isStoreBroken = true;
    expect(await world.use()).toMatch(/cannot be stored/);
    world.isStoreBroken = false;
    expect([await world.use(), await world.use()]).toEqual(["key:boss", undefined]);
  });

  it("covers nothing that is counted after its end", async () => {
    const entry = await world.approved();
    const used = world.use();
    await world.answer(entry, false);
    expect(await used).toBeUndefined();
  });
});
