import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConsentLinks } from "../../../src/ext/alerts/consent_links.js";
import { NotificationOutbox } from "../../../src/ext/alerts/notification_outbox.js";
import { Notifier } from "../../../src/ext/alerts/notifier.js";
import type { NotificationType } from "../../../src/ext/alerts/outbox/notification.js";
import { plannedIn } from "../../../src/ext/alerts/outbox/notification_plans.js";
import { NotificationReads, outboxIn } from "../../../src/ext/alerts/outbox/notification_queue.js";
import { alertTables } from "../../../src/ext/alerts/outbox/tables.js";
import type { Delivery, NotificationMessage, Receiver } from "../../../src/ext/alerts/receiver.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import { Engine, hourMs, startMs, tokenSet } from "../../domain/engine.js";
import { perTest } from "../../lifetimes.js";
import { aConnection } from "../../samples.js";
import { silentLog } from "../../silent_log.js";

const dayMs = 24 * hourMs;
const taken: Delivery = { kind: "taken" };
const failed = (reason: string, isUnreachable = false): Delivery => ({
  kind: "failed",
  reason,
  retryAfterMs: undefined,
  isUnreachable,
});

/** A receiver whose answers the test gives. */
class PlayedReceiver implements Receiver {
  readonly sent: { readonly message: NotificationMessage; readonly answer: (delivery: Delivery) => void }[] =
    [];
  answers: Delivery | undefined = taken;

  constructor(
    readonly name: string,
    readonly types?: readonly NotificationType[],
  ) {}

  wants(type: NotificationType): boolean {
    return this.types?.includes(type) ?? true;
  }

  send(message: NotificationMessage, signal: AbortSignal): Promise<Delivery> {
    return new Promise((resolve) => {
      this.sent.push({ message, answer: resolve });
      signal.addEventListener("abort", () => resolve(failed("aborted", true)));
      if (this.answers) resolve(this.answers);
    });
  }

  get told(): string[] {
    return this.sent.map(({ message: { type, body } }) => {
      const { data } = JSON.parse(body) as { data: { user_id?: string; provider: string; reason?: string } };
      return [type, data.user_id ?? data.provider, data.reason]
        .filter((word) => word !== undefined)
        .join(" ");
    });
  }
}

/** What notifications say beside their type and their connection. */
const told = {
  ...{ providerId: "p", providerName: "p", userId: "ada", label: "" },
  ...{ reason: "", endsAtMs: undefined },
};

describe("Notifier", () => {
  const engine = perTest(() => new Engine(undefined, undefined, { tables: alertTables }));
  let receivers: PlayedReceiver[];
  let notifier: Notifier;
  let links: ConsentLinks;
  let outcomes: string[];

  function make(): Notifier {
    const { store, changes, clock, requests } = engine;
    const parts = { store, changes, clock, log: silentLog, random: () => 0.5, receivers: () => receivers };
    const outbox = new NotificationOutbox({ ...parts, expiryLeadMs: 7 * dayMs });
    store.observe(outbox);
    links = new ConsentLinks({ ...parts, requests, publicUrl: "https://agent.example" });
    const onOutcome = (outcome: string) => void outcomes.push(outcome);
    return new Notifier({ ...parts, outbox, links, onOutcome });
  }
  const put = (change: Partial<Connection>) =>
    engine.store.commit((tx) => tx.putConnection(aConnection({ id: "c1", userId: "ada", ...change })));
  const needsPerson = (reason: "reauth_required" | "consent_revoked" = "reauth_required") =>
    put({ status: "attention", problem: { reason, sinceMs: engine.clock.nowMs(), retryAtMs: undefined } });
  const empty = () => expect.poll(() => outboxIn(engine.store).count).toBe(0);

  beforeEach(() => {
    receivers = [new PlayedReceiver("ops")];
    outcomes = [];
    notifier = make();
    notifier.start();
  });
  afterEach(() => notifier.stop());

  it("tells of each edge once, and of nothing between", async () => {
    const [ops] = receivers;
    await put({ status: "pending" });
    await put({ status: "active", credentialRevision: 1n, refreshable: true });
    await put({ status: "active", credentialRevision: 2n, refreshable: true });
    await needsPerson();
    await needsPerson();
    await put({ status: "active", credentialRevision: 3n, refreshable: true });
    await put({
      status: "active",
      credentialRevision: 4n,
      refreshable: false,
      expiresAtMs: startMs + hourMs,
    });
    await put({
      status: "active",
      credentialRevision: 4n,
      refreshable: false,
      expiresAtMs: startMs + hourMs,
    });
    await put({ status: "revoked" });
    await empty();
    expect(ops?.told).toEqual([
      "connection.active ada",
      "connection.attention ada reauth_required",
      "connection.recovered ada",
      "connection.unrefreshable ada",
    ]);
    expect(new Set(ops?.sent.map(({ message }) => message.id)).size).toBe(4);
  });

  it("tells each receiver what it wants, and of providers too", async () => {
    const calls = new PlayedReceiver("calls", ["provider.suspended"]);
    receivers.push(calls);
    const profile = await engine.provider("op");
    const suspension = {
      providerId: profile.id,
      profileVersion: profile.version,
      sinceMs: startMs,
      failures: 1,
      retryAtMs: startMs,
      probeConnectionId: "c1",
      resuming: false,
      unconfirmed: true,
    };
    await engine.store.commit((tx) => tx.putSuspension(suspension));
    await engine.store.commit((tx) => tx.putSuspension({ ...suspension, unconfirmed: false }));
    await engine.store.commit((tx) => tx.putSuspension({ ...suspension, unconfirmed: false, failures: 2 }));
    await engine.store.commit((tx) => tx.deleteSuspension(profile.id));
    notifier.wake();
    await empty();
    expect(receivers[0]?.told).toEqual(["provider.suspended op misconfigured", "provider.recovered op"]);
    expect(calls.told).toEqual(["provider.suspended op misconfigured"]);
  });

  it("keeps the order of one connection, and lets no other wait for it", async () => {
    const [ops] = receivers;
    if (ops) ops.answers = undefined;
    await put({ status: "active", refreshable: true });
    await needsPerson();
    await engine.store.commit((tx) =>
      tx.putConnection(aConnection({ id: "c2", userId: "bob", status: "active" })),
    );
    await expect.poll(() => ops?.told).toEqual(["connection.active ada", "connection.active bob"]);
    ops?.sent[0]?.answer(failed("http_500"));
    ops?.sent[1]?.answer(taken);
    await expect.poll(() => outboxIn(engine.store).count).toBe(2);
    engine.clock.advance(2_500);
    await expect.poll(() => ops?.told.at(-1)).toBe("connection.active ada");
    ops?.sent[2]?.answer(taken);
    await expect.poll(() => ops?.told.at(-1)).toBe("connection.attention ada reauth_required");
    expect(ops?.sent[0]?.message.id).toBe(ops?.sent[2]?.message.id);
    ops?.sent[3]?.answer(taken);
    await empty();
    expect(outcomes).toEqual(["failed", "taken", "taken", "taken"]);
  });

  it("asks a receiver that cannot be reached by one notification at a time, and tells it all when it is back", async () => {
    const [ops] = receivers;
    if (ops) ops.answers = failed("network", true);
    for (let index = 0; index < 20; index++) {
      await engine.store.commit((tx) =>
        tx.putConnection(aConnection({ id: `c${index}`, userId: `u${index}`, status: "active" })),
      );
    }
    await expect.poll(() => outcomes.length).toBeGreaterThan(0);
    const before = ops?.sent.length ?? 0;
    expect(before).toBeLessThan(8);
    if (ops) ops.answers = taken;
    for (let round = 0; round < 30 && outboxIn(engine.store).count > 0; round++) {
      engine.clock.advance(60_000);
      await new Promise((resolve) => setImmediate(resolve));
      await engine.store.settled();
    }
    await empty();
    expect(outcomes.filter((outcome) => outcome === "taken")).toHaveLength(20);
  });

  it("tells the others however many wait for a receiver that is dead", async () => {
    const [ops] = receivers;
    const dead = new PlayedReceiver("dead");
    dead.answers = failed("network", true);
    receivers.unshift(dead);
    const count = 400;
    for (let index = 0; index < count; index++) {
      void engine.store.commit((tx) =>
        tx.putConnection(aConnection({ id: `c${index}`, userId: `u${index}`, status: "active" })),
      );
    }
    await expect.poll(() => ops?.sent.length, { timeout: 10_000 }).toBe(count);
    await expect.poll(() => outboxIn(engine.store).count).toBe(count);
    expect(dead.sent.length).toBeLessThan(8);
  });

  it("tells a receiver that was away for five minutes all that happened, in order, and the other meanwhile", async () => {
    const [away] = receivers;
    const there = new PlayedReceiver("there");
    receivers.push(there);
    if (away) away.answers = failed("network", true);
    const revisions = new Map<string, number>();
    const change = (userId: string, tx: Parameters<Parameters<typeof engine.store.commit>[0]>[0]): void => {
      const revision = (revisions.get(userId) ?? 0) + 1;
      revisions.set(userId, revision);
      const status = revision % 2 === 1 ? "active" : "attention";
      // What is told of has the number of the change in it.
      tx.putConnection(aConnection({ id: userId, userId, status, providerName: `change-${revision}` }));
    };
    const changesOf = (messages: readonly NotificationMessage[], userId: string): string[] =>
      messages
        .map(({ body }) => (JSON.parse(body) as { data: { user_id: string; provider: string } }).data)
        .flatMap((data) => (data.user_id === userId ? [data.provider] : []));
    let changes = 0;
    for (let second = 0; second < 300; second++) {
      await engine.store.commit((tx) => {
        for (let count = 0; count < 2; count++) change(`u${changes++ % 16}`, tx);
      });
      engine.clock.advance(1_000);
      // Nothing is behind for whoever is there, however much waits for the other.
      await expect.poll(() => there.sent.length, { interval: 2 }).toBe(changes);
    }
    expect(away?.sent.length).toBeLessThan(20);
    await expect.poll(() => outboxIn(engine.store).count).toBe(changes);
    const asked = away?.sent.length ?? 0;
    if (away) away.answers = taken;
    for (let second = 0; second < 300 && outboxIn(engine.store).count > 0; second += 10) {
      engine.clock.advance(10_000);
      await engine.store.settled();
      if (away && away.sent.length > asked) break;
    }
    await expect.poll(() => outboxIn(engine.store).count, { timeout: 20_000 }).toBe(0);
    const told = away?.sent.slice(asked).map(({ message }) => message) ?? [];
    expect(new Set(told.map(({ id }) => id)).size).toBe(changes);
    for (const [userId, revision] of revisions) {
      const all = Array.from({ length: revision }, (_, index) => `change-${index + 1}`);
      expect(changesOf(told, userId)).toEqual(all);
      expect(
        changesOf(
          there.sent.map(({ message }) => message),
          userId,
        ),
      ).toEqual(all);
    }
    expect(told).toHaveLength(changes);
  }, 60_000);

  it("lets none wait for one that cannot be sent", async () => {
    const [ops] = receivers;
    const send = ops?.send.bind(ops);
    if (ops && send) {
      ops.send = (message, signal) =>
        message.body.includes("u0") ? Promise.reject(new Error("of this program")) : send(message, signal);
    }
    for (let index = 0; index < 10; index++) {
      await engine.store.commit((tx) =>
        tx.putConnection(aConnection({ id: `c${index}`, userId: `u${index}`, status: "active" })),
      );
    }
    await expect.poll(() => ops?.sent.length).toBe(9);
    await expect.poll(() => outcomes.filter((outcome) => outcome === "failed")).toHaveLength(1);
    // Each of the others is removed by a commit after it was sent.
    await expect.poll(() => outboxIn(engine.store).count).toBe(1);
  });

  it("gives a notification up after a day, and what the receiver says it is done with at once", async () => {
    const [ops] = receivers;
    if (ops) ops.answers = failed("http_500");
    await put({ status: "active", refreshable: true });
    await expect.poll(() => outcomes).toEqual(["failed"]);
    engine.clock.advance(dayMs);
    await empty();
    expect(outcomes).toEqual(["failed", "given_up"]);
    if (ops) ops.answers = { kind: "gone" };
    await needsPerson();
    await empty();
  });

  it("goes on after a restart, with the same id", async () => {
    const [ops] = receivers;
    if (ops) ops.answers = undefined;
    await put({ status: "active", refreshable: true });
    await expect.poll(() => ops?.sent.length).toBe(1);
    const stopped = notifier.stop();
    engine.clock.advance(2_000);
    await stopped;
    expect(outboxIn(engine.store).count).toBe(1);
    if (ops) ops.answers = taken;
    notifier = make();
    notifier.start();
    await empty();
    expect(ops?.sent.map(({ message }) => message.id)).toEqual([
      ops?.sent[0]?.message.id,
      ops?.sent[0]?.message.id,
    ]);
  });

  it("drops what is for a receiver that is not there any more", async () => {
    const [ops] = receivers;
    if (ops) ops.answers = failed("http_500");
    await put({ status: "active", refreshable: true });
    await expect.poll(() => outcomes).toEqual(["failed"]);
    receivers = [new PlayedReceiver("other")];
    engine.clock.advance(hourMs);
    await empty();
    expect(receivers[0]?.sent).toEqual([]);
  });

  it("tells in the last fifth of a consent that it ends, and not of one that each refresh prolongs", async () => {
    const [ops] = receivers;
    const rolling = { status: "active", refreshable: true } as const;
    await put({ ...rolling, refreshExpiresAtMs: startMs + dayMs });
    engine.clock.advance(dayMs / 2);
    await put({ ...rolling, refreshExpiresAtMs: startMs + 1.5 * dayMs });
    engine.clock.advance(dayMs / 2);
    await put({ ...rolling, refreshExpiresAtMs: startMs + 31 * dayMs });
    await empty();
    expect(ops?.told).toEqual(["connection.active ada"]);
    engine.clock.advance(23 * dayMs);
    await put({ ...rolling, credentialRevision: 9n, refreshExpiresAtMs: startMs + 31 * dayMs });
    engine.clock.advance(dayMs + hourMs);
    await expect.poll(() => ops?.told.at(-1)).toBe("connection.expiring ada");
    await empty();
    const { data } = JSON.parse(ops?.sent.at(-1)?.message.body ?? "") as {
      data: { ends_at: string; link: string };
    };
    expect(data.ends_at).toBe(new Date(startMs + 31 * dayMs).toISOString());
    expect(data.link).toMatch(/^https:\/\/agent\.example\/c\/[\w-]{27}$/);
  });

  it("tells nobody of a consent that ended before it was to be told of", async () => {
    const [ops] = receivers;
    await put({ status: "active", refreshable: true, refreshExpiresAtMs: startMs + 30 * dayMs });
    await put({ status: "revoked" });
    engine.clock.advance(30 * dayMs);
    await empty();
    expect(ops?.told).toEqual(["connection.active ada"]);
    await engine.store.commit((tx) => tx.deleteConnection("c1"));
    expect(plannedIn(engine.store).nextExpiryMs).toBeUndefined();
  });

  it("reads nothing of the outbox for a commit that tells of nothing, and stores no link where nobody consents", async () => {
    const [ops] = receivers;
    await put({ status: "active", credentialRevision: 1n, refreshable: true });
    await empty();
    const due = vi.spyOn(NotificationReads.prototype, "due");
    for (let revision = 2n; revision < 12n; revision++) {
      await put({ status: "active", credentialRevision: revision, refreshable: true });
    }
    expect(due).not.toHaveBeenCalled();
    due.mockRestore();
    expect(ops?.told).toEqual(["connection.active ada"]);
    let commits = 0;
    const { commit } = engine.store;
    engine.store.commit = (change) => {
      commits++;
      return commit.call(engine.store, change) as ReturnType<typeof change> as never;
    };
    expect(await links.make({ type: "connection.active", connectionId: "c1", ...told })).toBeUndefined();
    expect(commits).toBe(0);
  });

  it("loses no token to a notification that cannot be written", async () => {
    engine.store.observe({
      connection: () => undefined,
      suspension: () => undefined,
    });
    const broken = new NotificationOutbox({
      receivers: () => {
        throw new Error("of this program");
      },
      expiryLeadMs: dayMs,
      clock: engine.clock,
      log: silentLog,
    });
    engine.store.observe(broken);
    await put({ status: "active", credentialRevision: 5n });
    expect(engine.store.getConnection("c1")?.credentialRevision).toBe(5n);
  });

  it("leads by its link to the consent, and no further when that is given", async () => {
    const connection = await engine.connected();
    await engine.store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      if (current)
        tx.putConnection({
          ...current,
          status: "attention",
          problem: { reason: "consent_revoked", sinceMs: startMs, retryAtMs: undefined },
        });
    });
    await empty();
    const { data } = JSON.parse(receivers[0]?.sent.at(-1)?.message.body ?? "") as { data: { link: string } };
    const code = data.link.slice(data.link.lastIndexOf("/") + 1);
    const first = await links.follow(code);
    expect(first).toEqual({ kind: "consent", authUrl: expect.stringContaining("/auth/start?state=") });
    expect(await links.follow(code)).toEqual(first);
    await engine.store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      if (current) tx.putConnection({ ...current, status: "active", problem: undefined });
    });
    expect(await links.follow(code)).toEqual({ kind: "unknown_request" });
    for (const made of ["", "x", "a".repeat(27), `${code.slice(0, 26)}A`, `${code}/..`]) {
      expect((await links.follow(made)).kind).toMatch(/unknown_request|expired/);
    }
  });

  it("ends by its link no consent that waits for its confirmation", async () => {
    const connection = await engine.connected();
    const waiting = { returnUrl: "https://app.example/back", requireConfirmation: true };
    await engine.store.commit((tx) => {
      const current = tx.getConnection(connection.id);
      const problem = { reason: "consent_revoked", sinceMs: startMs, retryAtMs: undefined } as const;
      if (current) tx.putConnection({ ...current, status: "attention", problem });
    });
    await empty();
    const { data } = JSON.parse(receivers[0]?.sent.at(-1)?.message.body ?? "") as { data: { link: string } };
    await engine.consent(tokenSet(), { ...waiting, connectionId: connection.id });
    const held = engine.get(connection.id).pendingStateHash ?? "";
    expect(engine.store.getAuthorization(held)?.held).toBe(true);
    const code = data.link.slice(data.link.lastIndexOf("/") + 1);
    expect(await links.follow(code)).toEqual({ kind: "unknown_request" });
    expect(engine.store.getAuthorization(held)?.held).toBe(true);
  });

  it("forgets links that have ended", async () => {
    await needsPerson();
    await empty();
    const event = { type: "connection.attention", connectionId: "c1" } as const;
    const link = await links.make({ ...event, ...told });
    const code = link?.slice(link.lastIndexOf("/") + 1) ?? "";
    engine.clock.advance(8 * dayMs);
    expect(await links.follow(code)).toEqual({ kind: "expired" });
    await links.make({ ...event, ...told });
    expect(await links.follow(code)).toEqual({ kind: "unknown_request" });
  });
});
