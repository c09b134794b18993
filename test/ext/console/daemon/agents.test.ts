import { describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import type { AuditEvent } from "../../../../src/model/access/audit_event.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { perSuite } from "../../../lifetimes.js";
import { everyState, type Seed, SeededDaemon } from "./seeded_daemon.js";

const hourMs = 3_600_000;

const rowsIn = (body: string): number => body.match(/<tr role="row" id="event-\d+"/g)?.length ?? 0;

async function submit(visitor: ConsoleVisitor, path: string, fields: Readonly<Record<string, string>>) {
  return await visitor.visit(path, { form: { form_token: await visitor.formToken(), ...fields } });
}

describe("an agent", () => {
  const daemon = perSuite(() => SeededDaemon.seeded(everyState));

  it("has what it requested by provider and hour, and its refusals with the rule", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const { body } = await visitor.visit("/agents");
    expect(body).toMatch(/<a href="\/agents\/key:claude"><bdi>claude<\/bdi><\/a>[\s\S]*?>\d{3}</);
    const page = (await visitor.visit("/agents/key:claude")).body;
    expect(page).toMatch(/Requests of claude of the last 24 hours\. (github|google): \d+\. /);
    expect(page).toMatch(/<h2 id="refusals-title">Refused <span class="count">5</);
    expect(page).toContain("rule in line 3");
    expect((await visitor.visit("/agents/key:nobody")).status).toBe(404);
  });

  it("is found by the hour in which it did something, in a URL that stays", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const hour = (back: number): string =>
      new Date(daemon.clock.nowMs() - back * hourMs - 60_000).toISOString().slice(0, 16);
    const of = async (query: Readonly<Record<string, string>>): Promise<string> =>
      (await visitor.visit(`/activity?${new URLSearchParams(query)}`)).body;
    const one = await of({ agent: "claude", from: hour(7), until: hour(6) });
    expect([rowsIn(one), one.includes(`value="${hour(7)}"`)]).toEqual([2, true]);
    expect(one).toMatch(/\d+ requests sent/);
    expect(rowsIn(await of({ agent: "owner", from: hour(7), until: hour(6) }))).toBe(1);
    expect(await of({ from: hour(7), until: hour(6) })).not.toContain("Token refreshed");
    expect(await of({ from: hour(7), until: hour(6), show: "all" })).toContain("Token refreshed");
  });

  it("is granted access with a key that is shown once, and stopped", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const fields = {
      agent: "bot",
      provider: "github",
      user: "ada",
      methods: "read",
      ends: "8h",
      lease: "10m",
    };
    const granted = await submit(visitor, "/agents/grant", fields);
    const [key = ""] = /nxk_[0-9a-f]+_[\w-]+/.exec(granted.body) ?? [];
    expect([granted.status, granted.headers["cache-control"], key !== ""]).toEqual([200, "no-store", true]);
    expect(granted.body).toContain(`export HTTPS_PROXY=&quot;http://${key}@`);
    const { apiKeys } = await daemon.clients.access.listApiKeys({});
    const made = apiKeys.find(({ name }) => name.startsWith("bot.github."));
    expect(made).toMatchObject({
      role: Role.AGENT,
      restriction: { userIds: ["ada"], providers: ["github"] },
    });
    expect([made?.restriction?.methods.includes("POST"), made?.lease?.seconds]).toEqual([false, 600n]);
    expect((await visitor.visit("/agents/key:bot")).body).not.toContain(key);
    for (const wrong of [{ agent: "../x" }, { ends: "never" }, { lease: "1s" }, { user: "" }])
      expect([wrong, (await submit(visitor, "/agents/grant", { ...fields, ...wrong })).status]).toEqual([
        wrong,
        400,
      ]);

    const stopped = await submit(visitor, "/agents/key:bot/stop", {});
    expect(stopped.headers["location"]).toBe("/agents/key:bot?notice=agent_stopped");
    const { apiKeys: left } = await daemon.clients.access.listApiKeys({});
    expect(left.filter(({ name }) => name.startsWith("bot."))).toEqual([]);
    expect((await submit(visitor, "/agents/key:bot/stop", {})).status).toBe(404);
  });

  it("without a key is stopped until the stop is lifted", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const path = "/agents/jwt:system:serviceaccount:agents:research";
    expect((await submit(visitor, `${path}/stop`, {})).status).toBe(303);
    expect((await visitor.visit(path)).body).toContain("Lift the stop");
    expect((await visitor.visit("/agents?ended=1")).body).toContain("Stopped</span>");
    expect((await submit(visitor, `${path}/lift`, {})).status).toBe(303);
    expect((await visitor.visit(path)).status).toBe(404);
  });
});

describe("ten thousand requests of a day", () => {
  const seed = (nowMs: number): Seed => {
    const events = Array.from({ length: 12_000 }, (_, index): AuditEvent => {
      const use = { type: "token_retrieved", principal: `key:agent-${index % 200}` } as const;
      // Within 23 hours: the hour that began a day ago is not counted.
      return { ...use, timeMs: nowMs - (12_000 - index) * 6_800, revision: 1n, userId: "ada" };
    });
    return { profiles: [], connections: [], events };
  };
  const daemon = perSuite(() => SeededDaemon.seeded(seed));

  it("are listed in pages, and counted as far as a page reads, which it says", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const first = await visitor.visit("/activity");
    expect(rowsIn(first.body)).toBe(50);
    const older = /<a class="button quiet" href="([^"]+)">Older/.exec(first.body)?.[1] ?? "";
    expect(rowsIn((await visitor.visit(older.replaceAll("&amp;", "&"))).body)).toBe(50);
    const { body } = await visitor.visit("/agents");
    expect(body.match(/<tr role="row" id="agent-/g)).toHaveLength(50);
    expect(body).toContain("1 to 50 of 20");
    expect(body).toContain("There are too many for one page: they are counted since");
    const one = await visitor.visit("/agents/key:agent-7");
    expect(one.body).toContain("Requests of agent-7 of the last 24 hours. others: 60.");
  });
});
