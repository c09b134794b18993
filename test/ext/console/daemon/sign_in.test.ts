import { describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";

describe("the console signs a browser in", () => {
  const daemon = perSuite(() => TestDaemon.start());

  const events = async () =>
    (await daemon.clients.audit.listAuditEvents({})).events.map(({ eventType, principal }) => [
      eventType,
      principal,
    ]);

  it("by a link that works once, as the principal that asked for it", async () => {
    const { url, expiresAt } = await daemon.clients.console.createConsoleLink({});
    expect(Number(expiresAt?.seconds) * 1_000).toBeLessThanOrEqual(daemon.clock.nowMs() + 60_000);
    const visitor = new ConsoleVisitor(new URL(url).origin);

    const answer = await visitor.visit(url);
    const { port } = new URL(url);
    expect([answer.status, answer.headers["location"]]).toEqual([303, "/"]);
    expect(answer.headers["set-cookie"]).toEqual([
      expect.stringMatching(
        new RegExp(`^nexus-console-${port}=[\\w-]{43}; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict$`),
      ),
    ]);
    const page = await visitor.visit("/connections");
    expect([page.status, page.body.includes("Signed in as <bdi>owner</bdi>")]).toEqual([200, true]);

    const other = new ConsoleVisitor(visitor.origin);
    expect((await other.visit(url)).status).toBe(410);
    expect((await other.visit("/connections")).status).toBe(401);
    expect((await events()).slice(0, 3)).toEqual([
      ["console.session_ended", "owner"],
      ["console.session_opened", "owner"],
      ["console.link_created", "owner"],
    ]);
  });

  it("not by a link of another minute", async () => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    daemon.clock.advance(60_000);
    const visitor = new ConsoleVisitor(new URL(url).origin);
    expect((await visitor.visit(url)).status).toBe(410);
    expect(visitor.cookie).toBe("");
  });

  it("for one of two visits at once", async () => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    const visits = Array.from({ length: 8 }, () => new ConsoleVisitor(new URL(url).origin).visit(url));
    const statuses = (await Promise.all(visits)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([303, 410, 410, 410, 410, 410, 410, 410]);
  });

  it.each<[string, Record<string, string>, number]>([
    ["another site led to it", { "sec-fetch-site": "cross-site" }, 403],
    ["another port of this host led to it", { "sec-fetch-site": "same-site" }, 403],
    ["the browser fetched it ahead", { "sec-purpose": "prefetch" }, 503],
    ["a page loads it as a picture", { "sec-fetch-dest": "image" }, 400],
    ["its host is another", { host: "rebound.example" }, 421],
  ])("keeps the link when %s", async (_what, headers, status) => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    const visitor = new ConsoleVisitor(new URL(url).origin);
    expect((await visitor.visit(url, { headers })).status).toBe(status);
    expect((await visitor.visit(url)).status).toBe(303);
  });

  it("until 8 hours have passed", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    daemon.clock.advance(8 * 3_600_000 - 1);
    expect((await visitor.visit("/connections")).status).toBe(200);
    daemon.clock.advance(1);
    const page = await visitor.visit("/connections");
    expect([page.status, visitor.cookie]).toEqual([401, ""]);
  });

  it("until the person signs out", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const { cookie } = visitor;
    const form = { form_token: await visitor.formToken() };
    expect((await visitor.visit("/sign-out", { form })).status).toBe(200);
    expect(visitor.cookie).toBe("");
    visitor.cookie = cookie;
    expect((await visitor.visit("/connections")).status).toBe(401);
    expect((await events())[0]).toEqual(["console.session_ended", "owner"]);
  });

  it("until its key is revoked, which ends the links of the key too", async () => {
    const clients = await clientsWithKey(daemon, { name: "ops", role: Role.OPERATOR });
    const visitor = await ConsoleVisitor.signedIn(clients);
    const { url } = await clients.console.createConsoleLink({});
    const page = await visitor.visit("/connections");
    expect([page.status, page.body.includes("<bdi>key:ops</bdi>")]).toEqual([200, true]);

    await daemon.clients.access.revokeApiKey({ key: { case: "name", value: "ops" } });
    expect((await visitor.visit("/connections")).status).toBe(401);
    expect((await visitor.visit(url)).status).toBe(410);
  });

  it("until the daemon ends", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    await daemon.restart();
    const again = new ConsoleVisitor(`http://${daemon.daemon.listeners.addresses.console?.[0]}`);
    again.cookie = visitor.cookie.replace(/-\d+=/, `-${new URL(again.origin).port}=`);
    expect((await again.visit("/connections")).status).toBe(401);
  });

  it("in 20 browsers at a time, of which the oldest makes room", async () => {
    const visitors: ConsoleVisitor[] = [];
    for (let index = 0; index < 21; index++) visitors.push(await ConsoleVisitor.signedIn(daemon.clients));
    const statuses = await Promise.all(visitors.map((each) => each.visit("/connections")));
    expect(statuses.map(({ status }) => status)).toEqual([401, ...Array.from({ length: 20 }, () => 200)]);
  });
});

describe("the console keeps others out", () => {
  const daemon = perSuite(() => TestDaemon.start());

  it.each<[string, Record<string, string>, Record<string, string>, number]>([
    ["without the form token", {}, {}, 403],
    ["with another form token", {}, { form_token: "x".repeat(43) }, 403],
    ["from another origin", { origin: "https://evil.example" }, { form_token: "own" }, 403],
    ["from another port of the host", { origin: "http://127.0.0.1:1" }, { form_token: "own" }, 403],
    ["from no origin at all", { origin: "null" }, { form_token: "own" }, 403],
    [
      "from another site, as the browser says",
      { "sec-fetch-site": "cross-site" },
      { form_token: "own" },
      403,
    ],
    ["in another form", { "content-type": "text/plain" }, { form_token: "own" }, 403],
    ["to another host", { host: "rebound.example" }, { form_token: "own" }, 421],
  ])("does not act on a form %s", async (_what, headers, fields, status) => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const token = await visitor.formToken();
    const form = fields["form_token"] === "own" ? { form_token: token } : fields;
    expect((await visitor.visit("/sign-out", { form, headers })).status).toBe(status);
    expect((await visitor.visit("/connections")).status).toBe(200);
  });

  it("does not take the form token of another session", async () => {
    const [one, other] = [
      await ConsoleVisitor.signedIn(daemon.clients),
      await ConsoleVisitor.signedIn(daemon.clients),
    ];
    const form = { form_token: await other.formToken() };
    expect((await one.visit("/sign-out", { form })).status).toBe(403);
  });

  it.each(["/connections", "/activity/export"])("shows %s to no script of another port", async (path) => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const headers = { "sec-fetch-dest": "empty", "sec-fetch-site": "same-site" };
    expect((await visitor.visit(path, { headers })).status).toBe(400);
  });

  it("signs out a browser whose link another one has too", async () => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    const [thief, person] = [
      new ConsoleVisitor(new URL(url).origin),
      new ConsoleVisitor(new URL(url).origin),
    ];
    expect([(await thief.visit(url)).status, (await thief.visit(url)).status]).toEqual([303, 410]);
    expect((await thief.visit("/connections")).status).toBe(200);
    const told = await person.visit(url);
    expect([told.status, told.body.includes("it is signed out now")]).toEqual([410, true]);
    expect((await thief.visit("/connections")).status).toBe(401);
  });

  it("answers every page with headers that let nothing else in", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    for (const path of ["/", "/connections", "/nothing", "/open", "/favicon.ico"]) {
      const { headers } = await visitor.visit(path);
      const csp = String(headers["content-security-policy"]);
      expect([
        path,
        csp.startsWith("default-src 'none'"),
        csp.includes("unsafe"),
        headers["cache-control"],
      ]).toEqual([path, true, false, "no-store"]);
    }
  });

  it("holds no token of a link or session in its memory's tables, log or audit log", async () => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    const code = new URL(url).searchParams.get("code") ?? "";
    const visitor = new ConsoleVisitor(new URL(url).origin);
    await visitor.visit(url);
    const token = visitor.cookie.split("=")[1] ?? "";
    expect([code.length, token.length]).toEqual([43, 43]);
    const { events } = await daemon.clients.audit.listAuditEvents({});
    const kept = `${daemon.place.logLines.join("")}${events.map((event) => JSON.stringify({ ...event, count: 0, revision: 0, sequence: 0, time: 0 })).join("")}`;
    expect([kept.includes(code), kept.includes(token)]).toEqual([false, false]);
  });

  it("makes no link where it is closed", async () => {
    const closed = await TestDaemon.start({ NEXUS_CONSOLE_LISTEN: "off" });
    try {
      await expect(closed.clients.console.createConsoleLink({})).rejects.toThrow(/CONSOLE_LISTEN/);
    } finally {
      await closed.close();
    }
  });
});

describe("the console behind a proxy with TLS", () => {
  const daemon = perSuite(() => TestDaemon.start({ NEXUS_CONSOLE_URL: "https://console.example" }));

  it("has links of that name, and a cookie that no other host can set", async () => {
    const { url } = await daemon.clients.console.createConsoleLink({});
    expect(url).toMatch(/^https:\/\/console\.example\/open\?code=[\w-]{43}$/);
    const [address = ""] = daemon.daemon.listeners.addresses.console ?? [];
    const visitor = new ConsoleVisitor(`http://${address}`);
    expect((await visitor.visit(new URL(url).pathname + new URL(url).search)).status).toBe(421);
    const headers = { host: "console.example" };
    const answer = await visitor.visit(new URL(url).pathname + new URL(url).search, { headers });
    expect(answer.headers["set-cookie"]).toEqual([
      expect.stringMatching(
        /^__Host-nexus-console=[\w-]{43}; Path=\/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure$/,
      ),
    ]);
    expect((await visitor.visit("/connections", { headers })).status).toBe(200);
    const token = /name="form_token" value="([^"]+)"/.exec(
      (await visitor.visit("/connections", { headers })).body,
    );
    const form = { form_token: token?.[1] ?? "" };
    const foreign = await visitor.visit("/sign-out", { form, headers });
    expect(foreign.status).toBe(403);
    const own = { ...headers, origin: "https://console.example" };
    expect((await visitor.visit("/sign-out", { form, headers: own })).status).toBe(200);
  });
});
