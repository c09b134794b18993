import { afterEach, describe, expect, it } from "vitest";
import type { Connection } from "../../../../src/model/connections/connection.js";
import { newConnection } from "../../../../src/model/connections/new_connection.js";
import { newId } from "../../../../src/model/ids.js";
import type { ProviderProfile } from "../../../../src/model/providers/provider_profile.js";
import { GrantFailure } from "../../../../src/oauth/failure.js";
import { OutboundError } from "../../../../src/outbound/outbound_fetch.js";
import { silentLog } from "../../../silent_log.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Engine, hourMs, tokenSet } from "../../engine.js";

/** `Engine` draws 0.5 for chance: a first check comes after half the interval, and each is late by a twentieth of it. */
const nextMs = hourMs * 1.05;
const minuteMs = 60_000;

/** A daemon whose API answers as the test says, and notes what it is asked. */
class Checking extends Engine {
  /** The credential, and the time since the start by the monotonic clock. */
  readonly asked: { readonly host: string; readonly authorization: string; readonly atMs: number }[] = [];
  answer: (host: string) => Promise<Response> = async () => new Response("{}");

  constructor(folder?: string) {
    super(folder);
    this.outbound = async (url, { headers }) => {
      const { host } = new URL(url);
      this.asked.push({
        ...{ host, atMs: this.clock.monotonicMs() },
        authorization: headers["Authorization"] ?? "",
      });
      return await this.answer(host);
    };
  }

  get checks() {
    return this.reading.checks;
  }

  profile(name = "op", more: Partial<ProviderProfile> = {}): Promise<ProviderProfile> {
    const userInfoEndpoint = `https://${name}.example/user`;
    return this.provider(name, { userInfoEndpoint, checkIntervalMs: hourMs, ...more });
  }

  async change(profile: ProviderProfile, change: Partial<ProviderProfile>): Promise<void> {
    await this.store.commit((tx) => tx.putProvider({ ...profile, ...change, version: profile.version + 1n }));
    this.changes.emit("provider", profile.id);
  }

  /** What was begun is over: commits, and what waits for nothing else. */
  async calm(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) {
      await this.store.commit(() => undefined);
      for (let each = 0; each < 10; each++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.calm();
  }

  reasons(id: string): unknown[] {
    return this.events(id)
      .filter(({ type }) => type === "connection_checked")
      .map(({ principal, reason }) => `${principal}: ${reason}`)
      .reverse();
  }
}

const refusing = async () => new Response("{}", { status: 401, headers: { "www-authenticate": "Bearer" } });
/** Lives for longer than each test. */
const lasting = () => tokenSet({ expiresInMs: 1_000 * hourMs });

describe("checks by a schedule", () => {
  const open: Checking[] = [];
  const opened = (folder?: string): Checking => {
    const made = new Checking(folder);
    open.push(made);
    return made;
  };
  const closed = async (engine: Checking): Promise<void> => {
    open.splice(open.indexOf(engine), 1);
    await engine.checks.stop();
    await engine.close();
  };
  afterEach(async () => {
    for (const engine of [...open]) await closed(engine);
  });

  it("come at the interval of the profile and never sooner, are audited, and change nothing that is well", async () => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(await engine.profile(), lasting());
    const other = await engine.connection(await engine.profile("never", { checkIntervalMs: undefined }));
    await engine.pass(hourMs / 2 - 1);
    expect(engine.asked).toEqual([]);
    await engine.pass(1);
    const before = engine.get(id);
    expect(engine.asked).toHaveLength(1);
    for (const count of [2, 3]) {
      await engine.pass(nextMs - 1);
      expect(engine.asked).toHaveLength(count - 1);
      await engine.pass(1);
      expect(engine.asked).toHaveLength(count);
    }
    expect(engine.reasons(id)).toEqual(Array(3).fill("daemon: accepted, 200"));
    expect({ ...engine.get(id), checkedAtMs: undefined }).toEqual({ ...before, checkedAtMs: undefined });
    expect(engine.get(other.id).checkedAtMs).toBeUndefined();
  });

  it("that are refused need attention, with the reason, and end it by themselves", async () => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(
      await engine.profile(),
      tokenSet({ refreshToken: undefined, expiresInMs: undefined }),
    );
    engine.answer = refusing;
    await engine.pass(hourMs / 2);
    const refused = { status: "attention", problem: { reason: "credential_refused" } };
    expect(engine.get(id)).toMatchObject(refused);
    engine.answer = async () => new Response("", { status: 503 });
    await engine.pass(nextMs);
    expect(engine.get(id)).toMatchObject(refused);
    engine.answer = async () => new Response("{}");
    await engine.pass(nextMs);
    expect(engine.get(id)).toMatchObject({ status: "active", problem: undefined });
    expect(engine.reasons(id)).toEqual([
      "daemon: refused, 401",
      "daemon: unclear, 503",
      "daemon: accepted, 200",
    ]);
  });

  it("refresh a refused token that has expired, and call the connection well when the API does", async () => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(await engine.profile());
    const statuses: string[] = [];
    engine.changes.on("connections", () => statuses.push(engine.get(id).status));
    engine.answer = refusing;
    const answered = async (count: number): Promise<void> => {
      (await engine.untilSent(count)).answer({ tokenSet: tokenSet() });
      await engine.calm();
    };
    engine.clock.advance(hourMs / 2);
    // The refusal costs a refresh, as one that an agent reports.
    await answered(1);
    expect(engine.get(id)).toMatchObject({ status: "attention", credentialRevision: 2n });
    engine.clock.advance(nextMs);
    await answered(2);
    expect(engine.get(id)).toMatchObject({
      ...{ status: "attention", credentialRevision: 3n, refreshIntent: undefined },
      problem: { reason: "credential_refused" },
    });
    // A server that does not answer says nothing of the grant.
    engine.clock.advance(nextMs);
    (await engine.untilSent(3)).fail(new GrantFailure({ kind: "transient", httpStatus: 503 }));
    await engine.calm();
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "credential_refused" } });
    expect(engine.get(id).dueAtMs).toBeUndefined();
    engine.answer = async () => new Response("{}");
    expect(statuses.slice(statuses.indexOf("attention"))).not.toContain("active");
    engine.clock.advance(nextMs);
    await answered(4);
    expect(engine.get(id)).toMatchObject({ status: "active", problem: undefined, credentialRevision: 4n });
    expect(engine.get(id).dueAtMs).toBeGreaterThan(engine.clock.nowMs());
  });

  it("end with the grant", async () => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(await engine.profile());
    engine.answer = refusing;
    engine.clock.advance(hourMs / 2);
    (await engine.untilSent(1)).answer({ tokenSet: tokenSet() });
    await engine.calm();
    engine.clock.advance(nextMs);
    (await engine.untilSent(2)).fail(new GrantFailure({ kind: "invalid_grant", httpStatus: 400 }));
    await engine.calm();
    expect(engine.get(id)).toMatchObject({ status: "attention", problem: { reason: "reauth_required" } });
    const count = engine.asked.length;
    await engine.pass(5 * nextMs);
    expect([engine.asked.length, engine.sent.length]).toEqual([count, 2]);
  });

  it.each([
    ["an API that does not respond", () => Promise.reject(new OutboundError("timeout", "after_send", "op"))],
    ["an error of this program", () => Promise.reject(new Error("an error of this program"))],
    ["an API that wants more scopes", async () => insufficient()],
  ])("are as rare after %s", async (_, answer) => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(await engine.profile(), lasting());
    engine.answer = answer;
    await engine.pass(hourMs / 2);
    for (let minute = 0; minute < 60; minute++) await engine.pass(minuteMs);
    expect(engine.asked).toHaveLength(1);
    expect(engine.get(id).status).toBe("active");
  });

  it("know after a restart what was checked, and spread what is overdue", async () => {
    const folder = temporaryFolder();
    const first = opened(folder);
    first.checks.start();
    const { id } = await first.connection(await first.profile(), lasting());
    await first.pass(hourMs / 2);
    const checkedAtMs = first.get(id).checkedAtMs ?? 0;
    await closed(first);
    // Ten starts in a row are no reason.
    for (let start = 0; start < 10; start++) {
      const again = opened(folder);
      again.clock.advance(checkedAtMs + start * minuteMs - again.clock.nowMs());
      again.checks.start();
      await again.pass(4 * minuteMs);
      expect(again.asked).toEqual([]);
      await closed(again);
    }
    const late = opened(folder);
    late.clock.advance(checkedAtMs + 24 * hourMs - late.clock.nowMs());
    late.checks.start();
    await late.pass(hourMs * 0.05 - 1);
    expect(late.asked).toEqual([]);
    await late.pass(1);
    expect(late.asked).toHaveLength(1);
  });

  it("count what was begun before a crash", async () => {
    const folder = temporaryFolder();
    const first = opened(folder);
    first.checks.start();
    const { id } = await first.connection(await first.profile(), lasting());
    let askedOf = 0;
    first.answer = async () => {
      askedOf = first.get(id).checkedAtMs ?? 0;
      return new Response("{}");
    };
    await first.pass(hourMs / 2);
    expect(askedOf).toBe(first.clock.nowMs());
  });

  it.each([-10 * 24 * hourMs, 10 * 24 * hourMs])(
    "do not go by a clock that is set by %d ms",
    async (jumpMs) => {
      const engine = opened();
      engine.checks.start();
      await engine.connection(await engine.profile(), tokenSet({ expiresInMs: undefined }));
      await engine.pass(hourMs / 2);
      engine.clock.jump(jumpMs);
      await engine.pass(nextMs - 1);
      expect(engine.asked).toHaveLength(1);
      await engine.pass(1);
      expect(engine.asked).toHaveLength(2);
    },
  );

  it("come after an interval at the latest where the clock was set back before the start", async () => {
    const folder = temporaryFolder();
    const first = opened(folder);
    first.clock.advance(10 * 24 * hourMs);
    first.checks.start();
    await first.connection(await first.profile(), tokenSet({ expiresInMs: undefined }));
    await first.pass(hourMs / 2);
    await closed(first);
    const again = opened(folder);
    again.checks.start();
    await again.pass(nextMs - 1);
    expect(again.asked).toEqual([]);
    await again.pass(1);
    expect(again.asked).toHaveLength(1);
  });

  it("leave out what a caller has checked", async () => {
    const engine = opened();
    engine.checks.start();
    const { id } = await engine.connection(await engine.profile(), lasting());
    await engine.pass(hourMs / 4);
    const owner = { name: "owner", kind: "owner" } as const;
    await engine.reading.check.run(id, owner, new AbortController().signal);
    await engine.pass(nextMs - minuteMs);
    expect(engine.asked).toHaveLength(1);
    await engine.pass(hourMs / 10);
    expect(engine.asked).toHaveLength(2);
  });

  it("begin, move, and end with a change of the profile, and with the connection", async () => {
    const engine = opened();
    engine.checks.start();
    const profile = await engine.profile("op", { checkIntervalMs: undefined });
    const { id } = await engine.connection(profile, lasting());
    await engine.pass(hourMs);
    await engine.change(profile, { checkIntervalMs: 24 * hourMs });
    await engine.pass(hourMs);
    expect(engine.asked).toEqual([]);
    await engine.change(profile, { checkIntervalMs: hourMs });
    await engine.pass(hourMs / 2);
    expect(engine.asked).toHaveLength(1);
    await engine.change(profile, { checkIntervalMs: undefined });
    await engine.pass(24 * hourMs);
    expect(engine.asked).toHaveLength(1);
    await engine.change(profile, { checkIntervalMs: hourMs });
    await engine.connections.revoke(id, { name: "owner", kind: "owner" });
    await engine.pass(24 * hourMs);
    expect(engine.asked).toHaveLength(1);
  });

  it("do not begin before the start, and not after the stop", async () => {
    const engine = opened();
    const profile = await engine.profile();
    await engine.connection(profile, lasting());
    await engine.pass(nextMs);
    expect(engine.asked).toEqual([]);
    engine.checks.start();
    await engine.checks.stop();
    await engine.connection(profile, lasting());
    await engine.pass(nextMs);
    expect(engine.asked).toEqual([]);
  });
});

function insufficient(): Response {
  const challenge = 'Bearer error="insufficient_scope", scope="all"';
  return new Response("{}", { status: 403, headers: { "www-authenticate": challenge } });
}

describe("checks of many connections", () => {
  it("run one at a time at a provider, and at no other's pace", async () => {
    const engine = new Checking();
    const [slow, quick] = [await engine.profile("slow"), await engine.profile("quick")];
    for (let count = 0; count < 5; count++)
      for (const profile of [slow, quick]) await engine.connection(profile, lasting());
    const held: (() => void)[] = [];
    engine.answer = (host) =>
      host.startsWith("quick")
        ? Promise.resolve(new Response("{}"))
        : new Promise((resolve) => held.push(() => resolve(new Response("{}"))));
    engine.checks.start();
    const counts = () =>
      ["slow", "quick"].map((name) => engine.asked.filter(({ host }) => host.startsWith(name)).length);
    await engine.pass(hourMs / 2);
    for (let turn = 0; turn < 5; turn++) await engine.calm();
    expect(counts()).toEqual([1, 5]);
    held[0]?.();
    await engine.calm();
    expect(counts()).toEqual([2, 5]);
    const stopped = engine.checks.stop();
    engine.clock.advance(2_000);
    for (const release of held) release();
    await stopped;
    await engine.close();
  });

  it("are spread over the interval at first, and over a tenth of it when they are overdue", async () => {
    const engine = new Checking();
    const profile = await engine.profile();
    const count = 1_000;
    const nowMs = engine.clock.nowMs();
    const blank = (checkedAtMs: number | undefined): Connection => ({
      ...newConnection(newId(), { userId: "ada", label: "" }, profile, nowMs),
      ...{ status: "active", checkedAtMs },
    });
    await engine.store.commit((tx) => {
      for (let each = 0; each < count; each++) {
        tx.putConnection(blank(undefined));
        tx.putConnection(blank(nowMs - 2 * hourMs));
      }
    });
    let chance = 0;
    const { CheckSchedule } = await import("../../../../src/domain/reading/report/check_schedule.js");
    const beganMs: { readonly isFirst: boolean; readonly atMs: number }[] = [];
    const checks = new CheckSchedule({
      ...{ store: engine.store, clock: engine.clock, log: silentLog, changes: engine.changes },
      random: () => (chance++ % 997) / 997,
      check: {
        run: async (connectionId) => {
          const connection = engine.get(connectionId);
          beganMs.push({ isFirst: connection.checkedAtMs === undefined, atMs: engine.clock.monotonicMs() });
          return { outcome: "accepted", status: 200, url: "", connection };
        },
      },
    });
    checks.start();
    await engine.calm();
    // Before any comes for the second time.
    for (let minute = 0; minute < 59; minute++) {
      engine.clock.advance(minuteMs);
      for (let turn = 0; turn < 400; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    const minutes = (isFirst: boolean) => {
      const perMinute = Array<number>(60).fill(0);
      for (const began of beganMs) {
        const at = Math.floor(began.atMs / minuteMs);
        if (began.isFirst === isFirst) perMinute[at] = (perMinute[at] ?? 0) + 1;
      }
      return perMinute;
    };
    const [first, overdue] = [minutes(true), minutes(false)];
    expect(first.reduce((sum, each) => sum + each)).toBeGreaterThan(900);
    expect(Math.max(...first)).toBeLessThan(40);
    expect(overdue.slice(0, 7).reduce((sum, each) => sum + each)).toBe(count);
    expect(Math.max(...overdue)).toBeLessThan(250);
    await checks.stop();
    await engine.close();
  });
});
