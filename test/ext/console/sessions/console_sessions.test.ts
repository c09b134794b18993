import { describe, expect, it } from "vitest";
import { ConsoleSessions } from "../../../../src/ext/console/sessions/console_sessions.js";
import type { AuditEvent } from "../../../../src/model/access/audit_event.js";
import { owner, type Principal } from "../../../../src/model/access/principal.js";
import { Changes } from "../../../../src/runtime/changes.js";
import type { Store } from "../../../../src/store/store.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perTest } from "../../../lifetimes.js";

class Console {
  readonly clock = new ManualClock(1_800_000_000_000);
  readonly changes = new Changes();
  readonly events: AuditEvent[] = [];
  isBroken = false;
  readonly sessions = new ConsoleSessions({ ...this, store: this.#store() });

  async signedIn(principal: Principal = owner) {
    const { code } = await this.sessions.createLink(principal);
    const opened = await this.sessions.open(code.reveal(), "127.0.0.1");
    if (!opened) throw new Error("the link does not work");
    return { ...opened, token: opened.token.reveal() };
  }

  #store(): Pick<Store, "record"> {
    const record = async (write: (tx: { appendAudit(event: AuditEvent): void }) => unknown) => {
      if (this.isBroken) throw new Error("the disk is full");
      return write({ appendAudit: (event) => void this.events.push(event) });
    };
    return { record } as Pick<Store, "record">;
  }
}

const key = (name: string, more: Partial<Principal> = {}): Principal => ({
  name: `key:${name}`,
  kind: "key",
  ...more,
});

describe("sessions of the console", () => {
  const made = perTest(() => new Console());

  it("do not outlive the proof of who their principal is", async () => {
    const expiresAtMs = made.clock.nowMs() + 30_000;
    const { code, expiresAtMs: linkEndsMs } = await made.sessions.createLink(key("a", { expiresAtMs }));
    expect(linkEndsMs).toBe(expiresAtMs);
    const { session, token } = (await made.sessions.open(code.reveal(), undefined)) ?? {};
    expect(session?.expiresAtMs).toBe(expiresAtMs);
    made.clock.advance(30_000);
    expect(made.sessions.find(token?.reveal() ?? "")).toBeUndefined();
  });

  it("are on record before they work, and not at all when that fails", async () => {
    const { code } = await made.sessions.createLink(owner);
    made.isBroken = true;
    await expect(made.sessions.createLink(owner)).rejects.toThrow("full");
    await expect(made.sessions.open(code.reveal(), "127.0.0.1")).rejects.toThrow("full");
    made.isBroken = false;
    expect(await made.sessions.open(code.reveal(), "127.0.0.1")).toBeUndefined();
    await made.signedIn();
    expect(made.events.map(({ type, origin }) => [type, origin])).toEqual([
      ["console.link_created", undefined],
      ["console.link_created", undefined],
      ["console.session_opened", "127.0.0.1"],
    ]);
  });

  it("end when their link comes again within its minute from a browser that does not have them", async () => {
    const { code } = await made.sessions.createLink(owner);
    const opened = await made.sessions.open(code.reveal(), "192.0.2.1");
    const token = opened?.token.reveal() ?? "";
    expect(await made.sessions.open(code.reveal(), "192.0.2.1", made.sessions.find(token))).toBeUndefined();
    expect(made.sessions.find(token)).toBeDefined();
    expect(await made.sessions.open(code.reveal(), "192.0.2.2")).toBeUndefined();
    expect(made.sessions.find(token)).toBeUndefined();
    expect(made.events.at(-1)).toMatchObject({ type: "console.session_ended", origin: "192.0.2.2" });
  });

  it("outlive a link that comes again later", async () => {
    const { code } = await made.sessions.createLink(owner);
    const opened = await made.sessions.open(code.reveal(), undefined);
    made.clock.advance(60_000);
    expect(await made.sessions.open(code.reveal(), undefined)).toBeUndefined();
    expect(made.sessions.find(opened?.token.reveal() ?? "")).toBeDefined();
  });

  it("are not opened, and no link is made, for a principal that ends while that is recorded", async () => {
    const { code } = await made.sessions.createLink(key("a"));
    const opening = made.sessions.open(code.reveal(), undefined);
    const making = made.sessions.createLink(key("a"));
    made.changes.emit("principalEnded", "key:a");
    expect(await opening).toBeUndefined();
    expect(await made.sessions.open((await making).code.reveal(), undefined)).toBeUndefined();
  });

  it("have no more than a hundred links a minute: each is in the audit log", async () => {
    for (let index = 0; index < 100; index++) await made.sessions.createLink(key("loud"));
    await expect(made.sessions.createLink(key("loud"))).rejects.toThrow("at most 100 per minute");
    expect(made.events).toHaveLength(100);
    await made.sessions.createLink(key("quiet"));
    made.clock.advance(60_000);
    await made.sessions.createLink(key("loud"));
  });

  it("of one principal never take the room of another", async () => {
    const quiet = await made.signedIn(key("quiet"));
    for (let index = 0; index < 50; index++) await made.signedIn(key("loud"));
    expect(made.sessions.find(quiet.token)?.principal.name).toBe("key:quiet");
  });

  it.each(["", "x", "x".repeat(43), "\u0000"])("are not found by %j", async (token) => {
    await made.signedIn();
    expect(made.sessions.find(token)).toBeUndefined();
    expect(await made.sessions.open(token, undefined)).toBeUndefined();
  });
});
