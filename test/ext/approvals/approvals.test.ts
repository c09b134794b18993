import { setImmediate } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { AccessControl } from "../../../src/domain/access/access_control.js";
import type { HeldRequest } from "../../../src/domain/access/request_rules.js";
import { Approvals } from "../../../src/ext/approvals/approvals.js";
import type { Plans } from "../../../src/ext/approvals/plans.js";
import { readPolicy } from "../../../src/ext/policy/policy_document.js";
import type { AuditEvent } from "../../../src/model/access/audit_event.js";
import { owner, type Principal } from "../../../src/model/access/principal.js";
import type { Extent } from "../../../src/model/access/rules.js";
import { Unavailable } from "../../../src/model/errors.js";
import { Changes, type WaitingRequest } from "../../../src/runtime/changes.js";
import { Store } from "../../../src/store/store.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import fc from "../../property.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const boss: Principal = { name: "key:boss", kind: "key" };
const claude: Principal = { name: "key:claude", kind: "key" };

const startMs = 1_800_000_000_000;

class World {
  readonly clock: ManualClock;
  readonly changes = new Changes();
  readonly store: Store;
  isStoreBroken = false;
  isPageOpen = true;
  policy = "one";
  /** Of plans: who approved one that covers a request. */
  planned: (() => ReturnType<Plans["use"]>) | undefined;
  readonly revoked = new Set<string>();
  readonly caller = new AbortController();
  readonly access: AccessControl;
  readonly approvals: Approvals;

  constructor(
    readonly folder = temporaryFolder(),
    nowMs = startMs,
  ) {
    this.clock = new ManualClock(nowMs);
    const { clock, changes } = this;
    this.store = Store.open({ folder, nowMs });
    this.access = new AccessControl({
      ...{ clock, changes, store: {} as never },
      keys: {
        find: (name) =>
          ({ role: "agent", ...(this.revoked.has(name) && { revokedAtMs: clock.nowMs() }) }) as never,
      },
    });
    this.approvals = new Approvals({
      ...{ clock, changes, access: this.access, log: silentLog },
      plans: { use: () => this.planned?.() },
      urlOf: (link) => (this.isPageOpen ? `https://console.example/approvals/${link}` : undefined),
      store: {
        commit: async (change) => {
          if (this.isStoreBroken) throw new Error("the disk is full");
          return await this.store.commit(change);
        },
        raw: (read) => this.store.raw(read),
        epoch: this.store.epoch,
      },
    });
    this.approvals.start();
  }

  async close(): Promise<void> {
    this.approvals.stop();
    await this.store.settled();
    await this.store.close();
  }

  /** The same store in another life, after so long. */
  async again(afterMs = 0): Promise<World> {
    await this.close();
    return new World(this.folder, this.clock.nowMs() + afterMs);
  }

  get events(): AuditEvent[] {
    return this.store
      .listAuditEvents({ limit: 50 })
      .events.map(({ event }) => event)
      .reverse();
  }

  get audited(): string[] {
    return this.events.map(
      ({ type, principal, reason }) => `${type} by ${principal} of ${reason?.split(" (")[0]}`,
    );
  }

  ask(
    change: {
      principal?: Principal;
      session?: string | undefined;
      repeats?: true;
      target?: string;
      extent?: Extent[];
      holdMs?: number;
      approvers?: number;
      line?: number;
      headers?: Record<string, string>;
      signal?: AbortSignal;
    } = {},
  ) {
    const {
      principal = claude,
      target = "/repos?token=x",
      extent = [],
      signal = new AbortController().signal,
    } = change;
    const session = "session" in change ? change.session : "run-1";
    const held: HeldRequest = {
      principal,
      connection: { connectionId: "c-1", userId: "ada", provider: { id: "p", name: "github" } },
      request: {
        method: "POST",
        host: "api.github.com",
        target,
        headers: new Map(Object.entries(change.headers ?? {})),
        body: undefined,
        session,
        ...(change.repeats && { repeats: change.repeats }),
      },
      rule: {
        providers: undefined,
        when: undefined,
        verdict: "ask",
        because: "",
        extent,
        asks: new Set(),
        line: change.line ?? 3,
        ...(change.holdMs !== undefined && { holdMs: change.holdMs }),
        ...(change.approvers !== undefined && { approvers: change.approvers }),
      },
      policyDigest: this.policy,
      use: { ...(session !== undefined && { session }), rule: "line 3 of 9f86" },
      signal,
    };
    return this.approvals.ask(held).then((answer) => ("approver" in answer ? "sent" : answer.message));
  }

  only() {
    const [waiting, ...more] = this.approvals.list();
    if (!waiting || more.length > 0) throw new Error(`${more.length} wait`);
    return waiting;
  }

  decide(
    approves: boolean,
    change: { approver?: Principal; digest?: string; extent?: Extent; id?: string; reason?: string } = {},
  ) {
    const { approver = boss, extent, reason, ...given } = change;
    const { id, digest } = "id" in given ? { digest: "", ...given } : { ...this.only(), ...given };
    const answer = { id: id ?? "", digest: digest ?? "", approves, extent, ...(reason && { reason }) };
    return this.approvals.decide(answer, approver);
  }
}

describe("a request that a person is asked about", () => {
  const world = perTest(() => new World());

  it("is sent once after a yes, which is on record with who said it", async () => {
    const asked = world.ask();
    const { id, digest } = world.only();
    await world.decide(true);
    expect(await asked).toBe("sent");
    expect(world.audited).toEqual(["approval.given by key:boss of key:claude: POST api.github.com/repos"]);
    expect(world.events).toMatchObject([
      { agent: "key:claude", approver: "key:boss", userId: "ada", session: "run-1", rule: "line 3 of 9f86" },
    ]);
    expect(world.approvals.list()).toEqual([]);
    await expect(world.decide(true, { id, digest })).rejects.toThrow("request not found");
    const again = world.ask();
    expect(world.approvals.list().length).toBe(1);
    await world.decide(false);
    expect(await again).toContain("A reviewer denied this request. Do not retry it.");
  });

  it("is sent without a question under a plan, and once more where the API refused its credential", async () => {
    let uses = 0;
    world.planned = () => (uses++ === 0 ? Promise.resolve("key:boss") : undefined);
    expect(await world.ask()).toBe("sent");
    expect([world.approvals.list(), world.audited]).toEqual([[], []]);
    expect([await world.ask({ repeats: true }), uses]).toEqual(["sent", 1]);
    const asked = world.ask();
    await world.decide(false);
    expect(await asked).toMatch(/^A reviewer denied/);
  });

  it("waits for a person where its plan has ended meanwhile, and not where a use cannot be stored", async () => {
    world.planned = () => Promise.resolve(undefined);
    const asked = world.ask();
    await expect.poll(() => world.approvals.list().length).toBe(1);
    await world.decide(true);
    expect(await asked).toBe("sent");
    world.planned = () => Promise.resolve(new Unavailable("cannot be stored"));
    expect(await world.ask()).toBe("cannot be stored");
  });

  it("is denied under a plan if a person denied this very request before it came again", async () => {
    const caller = new AbortController();
    const left = world.ask({ signal: caller.signal });
    caller.abort();
    await left;
    await world.decide(false);
    world.planned = () => Promise.resolve("key:boss");
    expect(await world.ask()).toMatch(/^A reviewer denied/);
  });

  it("is denied with a reason that the agent reads and the record keeps, which an approval has not", async () => {
    const asked = world.ask();
    const { id, digest } = world.only();
    const wrong = world.decide(true, { reason: "use the test account" });
    await expect(wrong).rejects.toThrow("reason: is for a denial");
    expect(world.approvals.list()).toHaveLength(1);
    await world.decide(false, { id, digest, reason: "use the test account" });
    expect(await asked).toBe(
      "A reviewer denied this request. Do not retry it. The reviewer says: use the test account",
    );
    expect(world.events.at(-1)?.reason).toMatch(/\): use the test account$/);
  });

  it("is sent once more after its yes where the API refused its credential, within a minute, and as it was", async () => {
    const approve = async (): Promise<void> => {
      const asked = world.ask();
      await world.decide(true);
      expect(await asked).toBe("sent");
    };
    const waits = async (change: Parameters<World["ask"]>[0]): Promise<void> => {
      const asked = world.ask(change);
      await world.decide(false);
      expect(await asked).toContain("denied");
    };
    await approve();
    expect(await world.ask({ repeats: true })).toBe("sent");
    await waits({ repeats: true });
    await approve();
    await waits({ repeats: true, target: "/other" });
    await waits({ repeats: true, session: "run-2" });
    world.clock.advance(60_000);
    await waits({ repeats: true });
    await approve();
    await waits({});
    await waits({ repeats: true });
    await waits({ repeats: true });
  });

  it("is denied after 180 seconds, and a yes then finds nothing", async () => {
    const asked = world.ask();
    const { id, digest } = world.only();
    world.clock.advance(179_999);
    expect(world.approvals.list().length).toBe(1);
    world.clock.advance(1);
    expect(await asked).toContain("nobody answered in time");
    await expect(world.decide(true, { id, digest })).rejects.toThrow("not found");
    expect(world.audited).toEqual(["approval.expired by daemon of key:claude: POST api.github.com/repos"]);
  });

  it("is sent when the yes came before the end of its time, though it is put on record after it", async () => {
    const asked = world.ask();
    const decided = world.decide(true);
    world.clock.advance(180_000);
    await decided;
    expect(await asked).toBe("sent");
    expect(world.audited.length).toBe(1);
  });

  it("is answered once by two who answer at the same time", async () => {
    const asked = world.ask();
    const { id, digest } = world.only();
    const answers = await Promise.allSettled([
      world.decide(true, { id, digest }),
      world.decide(false, { id, digest }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect(await asked).toBe("sent");
  });

  it.each(["before", "while"])(
    "waits on when its caller leaves %s somebody says yes, which counts once",
    async (when) => {
      const controller = new AbortController();
      const asked = world.ask({ signal: controller.signal });
      const { id, digest } = world.only();
      expect(world.only().isLeft).toBe(false);
      const decided = when === "while" ? world.decide(true, { id, digest }) : undefined;
      controller.abort();
      expect(await asked).toContain("has left");
      if (!decided) expect(world.only()).toMatchObject({ id, digest, isLeft: true });
      await (decided ?? world.decide(true, { id, digest }));
      await expect(world.decide(true, { id, digest })).rejects.toThrow("not found");
      expect(world.approvals.list()).toEqual([]);
      expect(await world.ask()).toBe("sent");
      void world.ask();
      expect(world.only().id).not.toBe(id);
    },
  );

  it("is waited for again by its caller after it left, with the same page and until the same end", async () => {
    const left = world.ask({ signal: world.caller.signal, headers: { traceparent: "00-1" } });
    const { id, held, expiresAtMs } = world.only();
    const { url } = world.approvals.pageOf(held.request, claude);
    world.caller.abort();
    await left;
    world.clock.advance(60_000);
    const asked = world.ask({ headers: { traceparent: "00-2" } });
    expect(world.only()).toMatchObject({ id, expiresAtMs, isLeft: false });
    expect(world.approvals.pageOf(held.request, claude).url).toBe(url);
    await world.decide(false, { reason: "not today" });
    expect(await asked).toContain("not today");
  });

  it("waits as long as its rule says, and a decision that nobody took ends with it", async () => {
    const left = world.ask({ signal: world.caller.signal, holdMs: 3_600_000 });
    expect(world.only().expiresAtMs).toBe(startMs + 3_600_000);
    world.caller.abort();
    await left;
    world.clock.advance(3_599_999);
    await world.decide(true);
    world.clock.advance(1);
    void world.ask({ holdMs: 3_600_000 });
    expect(world.only().sinceMs).toBe(startMs + 3_600_000);
  });

  it("ends at once when its caller is revoked", async () => {
    const asked = world.ask();
    world.revoked.add("claude");
    world.changes.emit("principalEnded", "key:claude");
    expect(await asked).toContain("not valid any more");
    await expect(world.ask()).rejects.toThrow("not valid any more");
    expect(world.approvals.list()).toEqual([]);
  });

  it("ends at once when the credential of its caller expires", async () => {
    const asked = world.ask({ principal: { ...claude, expiresAtMs: world.clock.nowMs() + 60_000 } });
    expect(world.only().expiresAtMs).toBe(world.clock.nowMs() + 60_000);
    world.clock.advance(59_999);
    expect(world.approvals.list().length).toBe(1);
    world.clock.advance(1);
    await setImmediate();
    expect(world.approvals.list()).toEqual([]);
    expect(await asked).toContain("not valid any more");
    expect(world.audited).toEqual([]);
  });

  it("ends at once when the old key of its caller does after a rotation", async () => {
    const asked = world.ask();
    world.changes.emit("keyRotated", "key:claude", world.clock.nowMs() + 60_000);
    world.clock.advance(60_000);
    await setImmediate();
    expect(world.approvals.list()).toEqual([]);
    expect(await asked).toContain("not valid any more");
  });

  it.each([
    ["its caller is revoked", () => world.changes.emit("principalEnded", "key:claude")],
    [
      "the policy has changed",
      () => world.access.setPolicy(readPolicy("bindings: []\nrules: [{ then: deny }]")),
    ],
    ["the daemon stops", () => world.approvals.stop()],
  ])("is neither sent nor on record after a yes that comes in the moment in which %s", async (_, end) => {
    const asked = world.ask({ signal: world.caller.signal });
    const { id, digest } = world.only();
    end();
    await expect(world.decide(true, { id, digest })).rejects.toThrow("not found");
    expect(await asked).not.toBe("sent");
    expect(world.audited).toEqual([]);
  });

  it("is not sent when its caller is revoked while the yes is put on record, which counts for nothing later", async () => {
    const asked = world.ask();
    const decided = world.decide(true);
    world.changes.emit("principalEnded", "key:claude");
    await decided;
    expect(await asked).not.toBe("sent");
    void world.ask();
    expect(world.approvals.list()).toHaveLength(1);
  });

  it("has a link that leads to it alone, until it is answered", async () => {
    const [first, second] = [world.ask(), world.ask({ target: "/other" })];
    const [one, other] = world.approvals.list();
    if (!one || !other) throw new Error("two wait");
    const linkOf = ({ held }: typeof one) =>
      world.approvals.pageOf(held.request, claude).url.split("/").at(-1) ?? "";
    const [link, another] = [linkOf(one), linkOf(other)];
    expect(world.approvals.linked(link)).toEqual(one);
    expect(world.approvals.linked(another)).toEqual(other);
    const [id = "", signature = ""] = link.split(".");
    const [, signatureOfOther = ""] = another.split(".");
    for (const forged of [
      id,
      `${id}.`,
      `${id}.${signatureOfOther}`,
      `${id}.${signature.slice(0, -1)}`,
      `${link}.`,
      "",
    ])
      expect(world.approvals.linked(forged)).toBeUndefined();
    for (const { id, digest } of [one, other]) await world.decide(true, { id, digest });
    expect(world.approvals.linked(link)).toBeUndefined();
    expect(await Promise.all([first, second])).toEqual(["sent", "sent"]);
    void world.ask();
    expect(world.approvals.linked(link)).toBeUndefined();
  });

  it("shows its page to its own caller, for the request as it is", async () => {
    void world.ask();
    const { request } = world.only().held;
    const found = (asked = request, principal = claude) => world.approvals.pageOf(asked, principal);
    expect(found().url).toMatch(/^https:\/\/console\.example\/approvals\/[0-9a-f]{16}\.[\w-]{32}$/);
    expect(() => found({ ...request, target: "/other" })).toThrow("not found");
    expect(() => found(request, { name: "key:other", kind: "key" })).toThrow("not found");
    world.isPageOpen = false;
    expect(() => found()).toThrow("not found");
  });

  it("is announced with its page, until it ends", async () => {
    const announced: WaitingRequest[] = [];
    world.changes.on("requestHeld", (waiting) => void announced.push(waiting));
    const asked = world.ask();
    const { request } = world.only().held;
    const { url } = world.approvals.pageOf(request, claude);
    expect(announced).toMatchObject([
      { caller: "key:claude", connectionId: "c-1", userId: "ada", provider: { name: "github" }, url },
    ]);
    expect(announced[0]?.ended.aborted).toBe(false);
    await world.decide(true);
    await asked;
    expect(announced[0]?.ended.aborted).toBe(true);
    const left = world.ask({ signal: AbortSignal.abort() });
    expect(await left).toContain("has left");
    expect(announced.length).toBe(1);
  });

  it("ends when the daemon stops, or leads no more, and a yes then finds nothing", async () => {
    const asked = world.ask();
    const { id, digest } = world.only();
    world.approvals.stop();
    await expect(world.decide(true, { id, digest })).rejects.toThrow("not found");
    expect(await asked).toContain("send it again");
    expect(world.audited).toEqual([]);
  });

  it("ends at once when what its caller may do changes", async () => {
    const asked = world.ask();
    world.access.setPolicy(readPolicy("bindings: []\nrules: [{ then: deny }]"));
    await setImmediate();
    expect(world.approvals.list()).toEqual([]);
    expect(await asked).toContain("has changed");
  });

  it("is not approved by its own caller, nor with the digest of another request", async () => {
    const asked = world.ask();
    await expect(world.decide(true, { approver: claude })).rejects.toThrow("cannot approve it");
    await expect(world.decide(true, { digest: "00".repeat(32) })).rejects.toThrow(
      "not the request that waits",
    );
    expect(world.approvals.list().length).toBe(1);
    await world.decide(false);
    expect(await asked).toContain("reviewer denied");
    const owned = world.ask({ principal: owner });
    await world.decide(true, { approver: owner });
    expect(await owned).toBe("sent");
  });

  it("is not sent when the yes cannot be put on record", async () => {
    const asked = world.ask();
    world.isStoreBroken = true;
    await expect(world.decide(true)).rejects.toThrow("disk");
    expect(await asked).toContain("cannot be recorded");
  });

  it("waits among few: five of a session, twenty of a caller, a hundred in all", async () => {
    const refusedAfter = async (count: number, one: (at: number) => Promise<string>) => {
      const asked = Array.from({ length: count }, (_, at) => one(at));
      expect(world.approvals.list().length).toBe(count);
      expect(await one(count)).toContain("too many requests wait");
      for (const { id, digest } of world.approvals.list()) await world.decide(false, { id, digest });
      await Promise.all(asked);
    };
    await refusedAfter(5, () => world.ask());
    await refusedAfter(20, (at) => world.ask({ session: `run-${at}` }));
    await refusedAfter(100, (at) =>
      world.ask({ principal: { name: `key:${at % 10}`, kind: "key" }, session: `run-${at}` }),
    );
  });

  it("lets further ones of its session go, or of its caller for an hour, where the rule allows it", async () => {
    const extent: Extent[] = ["session", "hour"];
    const first = world.ask({ extent });
    await expect(world.decide(true, { extent: "session" }).then(() => first)).resolves.toBe("sent");
    expect(await world.ask({ extent, target: "/other" })).toBe("sent");
    const other = world.ask({ extent, session: "run-2" });
    await world.decide(true, { extent: "hour" });
    expect(await other).toBe("sent");
    expect(await world.ask({ extent, session: "run-3" })).toBe("sent");
    world.clock.advance(3_600_000);
    const late = world.ask({ extent, session: "run-3" });
    await world.decide(false);
    expect(await late).toContain("reviewer denied");
    world.policy = "two";
    const changed = world.ask({ extent });
    await world.decide(false);
    expect(await changed).toContain("reviewer denied");
  });

  it.each([
    ["back", -3 * 3_600_000, 3_600_000],
    ["forward", 3 * 3_600_000, 0],
  ])("lets a yes for an hour end when the clock is set %s", async (_, byMs, passesMs) => {
    const first = world.ask({ extent: ["hour"] });
    await world.decide(true, { extent: "hour" });
    expect(await first).toBe("sent");
    world.clock.jump(byMs);
    world.clock.advance(passesMs);
    const late = world.ask({ extent: ["hour"] });
    await world.decide(false);
    expect(await late).toContain("reviewer denied");
  });

  it("forgets a yes for an hour when the caller is stopped, also where the stop is lifted again", async () => {
    const first = world.ask({ extent: ["hour"] });
    await world.decide(true, { extent: "hour" });
    expect(await first).toBe("sent");
    world.changes.emit("principalEnded", "key:other");
    expect(await world.ask({ extent: ["hour"] })).toBe("sent");
    world.changes.emit("principalEnded", "key:claude");
    const again = world.ask({ extent: ["hour"] });
    await world.decide(false);
    expect(await again).toContain("reviewer denied");
  });

  it("takes no yes for longer than the rule allows, nor for a session that there is not", async () => {
    void world.ask();
    await expect(world.decide(true, { extent: "hour" })).rejects.toThrow("for this once");
    await world.decide(false);
    void world.ask({ session: undefined, extent: ["session"] });
    await expect(world.decide(true, { extent: "session" })).rejects.toThrow("names no session");
  });
});

describe("a request whose rule asks several approvers", () => {
  const world = perTest(() => new World());
  const other: Principal = { name: "key:other", kind: "key" };
  const admin: Principal = { name: "admin", kind: "key" };

  it("is sent once each of them has approved it, and each approval is on record", async () => {
    const asked = world.ask({ approvers: 3 });
    expect(await world.decide(true)).toBe(2);
    expect(world.only().approvedBy).toEqual(["key:boss"]);
    expect(await world.decide(true, { approver: other })).toBe(1);
    const { id, digest } = world.only();
    expect(await world.decide(true, { approver: owner, id, digest })).toBe(0);
    expect(await asked).toBe("sent");
    const reasons = world.events.map(
      ({ approver, reason = "" }) => `${approver}: ${/\(line.*, s/.exec(reason)}`,
    );
    expect(reasons).toEqual([
      "key:boss: (line 3, 1 of 3, s",
      "key:other: (line 3, 2 of 3, s",
      "owner: (line 3, 3 of 3, s",
    ]);
    expect(await world.ask({ approvers: 3, repeats: true })).toBe("sent");
    void world.ask({ approvers: 3 });
    expect(world.only().approvedBy).toEqual([]);
  });

  it("names all of them to who sends it", async () => {
    const { approvals } = world;
    const ask = vi.spyOn(approvals, "ask");
    void world.ask({ approvers: 2 });
    await world.decide(true);
    await world.decide(true, { approver: other });
    expect(await ask.mock.results[0]?.value).toEqual({ approver: "key:boss, key:other" });
  });

  it("is not approved twice by one of them, nor by the owner with the key of the data folder", async () => {
    const asked = world.ask({ approvers: 2 });
    await world.decide(true, { approver: owner });
    for (const approver of [owner, admin])
      await expect(world.decide(true, { approver })).rejects.toThrow("you approved this request before");
    await expect(world.decide(true, { approver: claude })).rejects.toThrow("who sent a request");
    expect(world.only().approvedBy).toEqual(["owner"]);
    await world.decide(true);
    expect(await asked).toBe("sent");
  });

  it("counts all grants of an agent as one approver, and its caller's as the caller", async () => {
    const grantOf = (name: string): Principal => ({ name: `key:${name}.0a1b2c`, kind: "key" });
    const asked = world.ask({ approvers: 2, principal: grantOf("claude.github") });
    for (const approver of [claude, grantOf("claude.slack")])
      await expect(world.decide(true, { approver })).rejects.toThrow("who sent a request");
    await world.decide(true, { approver: grantOf("boss.github") });
    await expect(world.decide(true)).rejects.toThrow("you approved this request before");
    await world.decide(true, { approver: other });
    expect(await asked).toBe("sent");
  });

  it("waits for another one where one who approved it may approve no more, over a restart too", async () => {
    void world.ask({ approvers: 2 });
    await world.decide(true, { approver: other });
    world.changes.emit("principalEnded", other.name);
    expect(world.only().approvedBy).toEqual([]);
    const again = await world.again();
    const asked = again.ask({ approvers: 2 });
    expect(again.only().approvedBy).toEqual([]);
    expect(await again.decide(true)).toBe(1);
    await again.decide(true, { approver: owner });
    expect(await asked).toBe("sent");
    await again.close();
  });

  it("is denied by one, and by one who approved it", async () => {
    for (const approver of [boss, other]) {
      const asked = world.ask({ approvers: 2 });
      await world.decide(true);
      expect(await world.decide(false, { approver })).toBe(0);
      expect(await asked).toMatch(/^A reviewer denied/);
    }
  });

  it("is denied at the end of its time, though some have approved it", async () => {
    const asked = world.ask({ approvers: 2 });
    await world.decide(true);
    world.clock.advance(180_000);
    expect(await asked).toContain("nobody answered in time");
    const again = world.ask({ approvers: 2 });
    expect(world.only().approvedBy).toEqual([]);
    await world.decide(false);
    await again;
  });

  it("is sent after as many answers of one moment, and no fewer", async () => {
    const asked = world.ask({ approvers: 2 });
    const answers = [boss, boss, other, owner].map((approver) => world.decide(true, { approver }));
    const ends = await Promise.allSettled(answers);
    const missing = ends.map((end) => (end.status === "fulfilled" ? end.value : `${end.reason.message}`));
    expect(missing).toEqual([
      1,
      expect.stringContaining("you approved this request before"),
      0,
      expect.stringContaining("not found"),
    ]);
    expect(await asked).toBe("sent");
  });

  it("has not the approval that could not be stored", async () => {
    const asked = world.ask({ approvers: 2 });
    const { id, digest } = world.only();
    await setImmediate();
    world.isStoreBroken = true;
    await expect(world.decide(true, { id, digest })).rejects.toThrow("the disk is full");
    world.isStoreBroken = false;
    expect(world.only().approvedBy).toEqual([]);
    await world.decide(true);
    await world.decide(true, { approver: other });
    expect(await asked).toBe("sent");
  });

  it("is not sent under a plan, which one person approved", async () => {
    world.planned = () => Promise.resolve("key:boss");
    const asked = world.ask({ approvers: 2 });
    expect(world.only().approvedBy).toEqual([]);
    await world.decide(false);
    expect(await asked).toMatch(/^A reviewer denied/);
  });

  it("keeps their approvals over restarts, for this request alone", async () => {
    const first = new World();
    void first.ask({ approvers: 3 });
    await first.decide(true);
    const second = await first.again();
    void second.ask({ approvers: 3, target: "/other" });
    expect(second.only().approvedBy).toEqual([]);
    await second.decide(false);
    void second.ask({ approvers: 3, signal: second.caller.signal });
    expect(second.only().approvedBy).toEqual(["key:boss"]);
    await expect(second.decide(true)).rejects.toThrow("you approved this request before");
    await second.decide(true, { approver: other });
    second.caller.abort();
    await second.decide(true, { approver: owner });
    const third = await second.again();
    expect(await third.ask({ approvers: 3 })).toBe("sent");
    await third.close();
  });
});

describe("a request that a person is asked about, over a restart", () => {
  it("waits on, with its page, once its caller sends it again, and for nobody else", async () => {
    const first = new World();
    const asked = first.ask({ holdMs: 3_600_000 });
    const { id, digest, held, expiresAtMs } = first.only();
    const { url } = first.approvals.pageOf(held.request, claude);
    const world = await first.again(60_000);
    expect(await asked).toContain("send it again");
    expect(world.approvals.list()).toEqual([]);
    expect(world.approvals.linked(url.split("/").at(-1) ?? "")).toBeUndefined();
    await expect(world.decide(true, { id, digest })).rejects.toThrow("not found");
    const announced: WaitingRequest[] = [];
    world.changes.on("requestHeld", (waiting) => void announced.push(waiting));
    const again = world.ask({ holdMs: 3_600_000 });
    expect(world.only()).toMatchObject({ id, digest, expiresAtMs });
    expect(announced).toMatchObject([{ url, expiresAtMs }]);
    expect(world.approvals.linked(url.split("/").at(-1) ?? "")?.id).toBe(id);
    await world.decide(true);
    expect(await again).toBe("sent");
    await world.close();
  });

  it.each([
    ["a yes", true, "sent"],
    ["a no", false, "A reviewer denied this request. Do not retry it. The reviewer says: wrong one"],
  ])("keeps %s that nobody took, for the same request alone and once", async (_, approves, words) => {
    const first = new World();
    void first.ask({ signal: first.caller.signal, holdMs: 3_600_000 });
    first.caller.abort();
    await first.decide(approves, approves ? {} : { reason: "wrong one" });
    const world = await first.again();
    const others: Parameters<World["ask"]>[0][] = [
      ...[{ target: "/other" }, { session: "run-2" }, { line: 4 }, { headers: { "x-a": "b" } }],
      { principal: { name: "key:other", kind: "key" } },
    ];
    for (const [at, other] of others.entries()) {
      void world.ask(other);
      expect(world.approvals.list()).toHaveLength(at + 1);
    }
    world.policy = "two";
    void world.ask({ session: "run-3" });
    expect(world.approvals.list()).toHaveLength(others.length + 1);
    world.policy = "one";
    expect(await world.ask()).toBe(words);
    const later = await world.again();
    void later.ask();
    expect(later.only().sinceMs).toBe(later.clock.nowMs());
    await later.close();
  });

  it("has ended where its time was over meanwhile, which is on record", async () => {
    const first = new World();
    void first.ask();
    const world = await first.again(180_000);
    await vi.waitFor(() =>
      expect(world.audited).toEqual(["approval.expired by daemon of key:claude: POST api.github.com/repos"]),
    );
    void world.ask();
    expect(world.only().sinceMs).toBe(startMs + 180_000);
    await world.close();
  });

  it("has ended in a store that was restored, which may not know that its decision was used", async () => {
    const first = new World();
    void first.ask({ signal: first.caller.signal, holdMs: 3_600_000 });
    first.caller.abort();
    await first.decide(true);
    await first.store.commit((tx) => tx.beginEpoch());
    const world = await first.again();
    void world.ask({ holdMs: 3_600_000 });
    expect(world.approvals.list()).toHaveLength(1);
    await world.close();
  });

  it("is not sent twice where the daemon stops while it takes the decision", async () => {
    const world = new World();
    const caller = new AbortController();
    const first = world.ask({ signal: caller.signal });
    const { id, digest } = world.only();
    caller.abort();
    await first;
    await world.decide(true, { id, digest });
    const taking = world.ask();
    world.approvals.stop();
    expect(await Promise.all([taking, world.ask()])).toEqual([
      "sent",
      expect.stringContaining("stops holding it"),
    ]);
    await world.close();
  });

  it("gives the decision back where it cannot be taken out of the store", async () => {
    const world = new World();
    void world.ask({ signal: world.caller.signal });
    world.caller.abort();
    await world.decide(true);
    world.isStoreBroken = true;
    await expect(world.ask()).rejects.toThrow("cannot be taken");
    world.isStoreBroken = false;
    expect(await world.ask()).toBe("sent");
    await world.close();
  });

  it("takes the decision of the later of two equal requests, and is not asked for the earlier one", async () => {
    const first = new World();
    const early = first.ask();
    first.clock.advance(1_000);
    const late = first.ask();
    const world = await first.again();
    await Promise.all([early, late]);
    const asked = [world.caller, new AbortController()].map((caller) => {
      const answer = world.ask({ signal: caller.signal });
      return { caller, answer };
    });
    for (const { caller } of asked) caller.abort();
    await world.decide(true, world.approvals.list()[1]);
    expect(await world.ask()).toBe("sent");
    await world.close();
  });

  it("uses each yes once at most, for its own caller and request, and loses none", async () => {
    const step = fc.oneof(
      fc.record({ ask: fc.nat(2), by: fc.nat(1), leaves: fc.boolean() }),
      fc.record({ approve: fc.nat(5) }),
      fc.constant("restart" as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        let world = new World();
        /** By caller and request: what was approved and not sent. */
        const owed = new Map<string, number>();
        const add = (key: string, by: number) => owed.set(key, (owed.get(key) ?? 0) + by);
        const open: { readonly key: string; readonly asked: Promise<string> }[] = [];
        const ask = (request: number, by: number, signal?: AbortSignal) => {
          const principal: Principal = { name: `key:agent-${by}`, kind: "key" };
          const target = `/${request}`;
          const sent = world.ask({ principal, target, holdMs: 86_400_000, ...(signal && { signal }) });
          const key = `${principal.name} ${target}`;
          const asked = sent.then((words) => {
            if (words === "sent") add(key, -1);
            expect(owed.get(key) ?? 0).toBeGreaterThanOrEqual(0);
            return words;
          });
          open.push({ key, asked });
          return asked;
        };
        for (const each of steps) {
          if (each === "restart") world = await world.again();
          else if ("approve" in each) {
            const waiting = world.approvals.list();
            const one = waiting[each.approve % Math.max(1, waiting.length)];
            if (!one) continue;
            add(`${one.held.principal.name} ${one.held.request.target}`, 1);
            await world.decide(true, one);
          } else if (each.leaves) {
            const caller = new AbortController();
            const asked = ask(each.ask, each.by, caller.signal);
            caller.abort();
            await asked;
          } else void ask(each.ask, each.by);
        }
        // Whoever waits now has no yes: the daemon ends, and what is owed is there for the next call.
        world = await world.again();
        await Promise.all(open.map(({ asked }) => asked));
        for (const [key, count] of [...owed]) {
          const [name = "", target = ""] = key.split(" ");
          for (let at = 0; at < count; at++)
            expect(await ask(Number(target.slice(1)), Number(name.slice(-1)))).toBe("sent");
        }
        expect([...owed.values()].filter((count) => count !== 0)).toEqual([]);
        await world.close();
      }),
      { numRuns: 15 },
    );
  }, 120_000);
});
