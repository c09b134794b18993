import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { ConsoleService } from "../../../../src/gen/nexus/v1/console_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import type { ShownRequestSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import { browser } from "../../../browser_fixture.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";

type ShownInit = MessageInitShape<typeof ShownRequestSchema>;

class World {
  constructor(
    readonly daemon: TestDaemon,
    readonly connectionId: string,
  ) {}

  static async start(): Promise<World> {
    const file = join(temporaryFolder(), "policy.yaml");
    writeFileSync(file, "rules: [{ providers: [acme], then: ask, because: look first, for: [hour] }]\n");
    const daemon = await TestDaemon.start({ NEXUS_POLICY_FILE: file });
    const { providers, connections } = daemon.clients;
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const { provider: made } = await providers.createProvider({ provider });
    const credentials = { api_key: "secret-of-acme" };
    const imported = await connections.importConnection({
      providerId: made?.id ?? "",
      userId: "ada",
      credentials,
    });
    return new World(daemon, imported.connection?.id ?? "");
  }

  stop(): Promise<void> {
    return this.daemon.close();
  }

  send(signal?: AbortSignal, change: ShownInit & { readonly text?: string } = {}) {
    const { text = "title=hello\u202e", ...more } = change;
    const body = Buffer.from(text);
    const bodySha256 = createHash("sha256").update(body).digest();
    const url = "https://api.example/issues?x=1";
    const bytes = body.length <= 65_536 ? { body } : {};
    const request = { method: "POST", url, bodySize: BigInt(body.length), bodySha256, ...bytes, ...more };
    const { connectionId } = this;
    return this.daemon.clients.tokens.getToken({ connectionId, request }, signal ? { signal } : {});
  }

  async command(...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: this.daemon.place.config.dataDir } });
    const code = await run(["approvals", ...args], shell);
    return { code, out: shell.out(), err: shell.err() };
  }

  clientsOf(key: string) {
    const { httpUrl: baseUrl } = this.daemon.place;
    const withKey: Interceptor = (next) => (request) => {
      request.header.set("x-api-key", key);
      return next(request);
    };
    const transport = createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors: [withKey] });
    return { console: createClient(ConsoleService, transport) };
  }

  /** Denies all that waits. */
  async clear(): Promise<void> {
    const { approvals } = this.daemon.clients;
    for (const { id, digest } of (await approvals.listHeldRequests({})).requests)
      await approvals.decideHeldRequest({ id, digest: new Uint8Array(digest) });
  }

  async held(): Promise<string> {
    let id = "";
    await expect
      .poll(async () => {
        const { out } = await this.command("list", "--json");
        id = out === "" ? "" : (JSON.parse(out) as { id: string }).id;
        return id;
      })
      .not.toBe("");
    return id;
  }
}

describe("a request under a rule that has a person asked", () => {
  const world = perSuite(() => World.start());

  it("is shown whole to who may decide, gets its token after the yes, and is on record with who said it", async () => {
    const sent = world.send();
    const id = await world.held();
    const { out, err } = await world.command("approve", id.slice(0, 8), "--yes");
    expect(out).toBe(`${id} is approved\n`);
    expect(err).toContain("POST https://api.example/issues?x=1\n");
    expect(err).toContain("title=hello\\u{202e}");
    expect(err).toMatch(/look first/);
    expect((await sent).token?.credentials["api_key"]).toBe("secret-of-acme");
    const [given] = await auditEvents(world.daemon.clients, { eventType: "approval.given" });
    expect(given).toMatchObject({ principal: "owner", connectionId: world.connectionId });
  });

  it("is shown with a body that no line of can be taken for one of ours", async () => {
    const text = `a\n\nrequest        GET https://api.example/\n\tb\n${"x".repeat(74)}rule  line 9\n${"ä".repeat(40)}`;
    const sent = world.send(undefined, { text });
    const id = await world.held();
    const { err } = await world.command("approve", id, "--yes");
    await sent;
    const body = err.slice(err.indexOf("\n\n") + 2);
    expect(body).toBe(
      [
        ...["  | a", "  | ", "  | request        GET https://api.example/", "  |     b"],
        ...[`  | ${"x".repeat(74)}`, "  > rule  line 9", `  | ${"ä".repeat(37)}`, "  > äää", "", ""],
      ].join("\n"),
    );
  });

  it("is refused after a no", async () => {
    const sent = world.send();
    const refused = expect(sent).rejects.toMatchObject({ code: Code.PermissionDenied });
    await world.command("deny", await world.held());
    await refused;
  });

  it("is held on when its caller leaves, and the answer counts when that one sends it again", async () => {
    const caller = new AbortController();
    const sent = world.send(caller.signal).catch((error: Error) => error.message);
    const id = await world.held();
    caller.abort();
    await sent;
    const { approvals } = world.daemon.clients;
    await expect.poll(async () => (await approvals.listHeldRequests({})).requests[0]?.callerLeft).toBe(true);
    const { err } = await world.command("approve", id, "--yes");
    expect(err).toContain("it has left: your answer counts when it sends the same request again");
    expect((await world.command("list")).err).toContain("no requests are waiting");
    expect((await world.command("approve", id, "--yes")).err).toContain("waits: see nexusd approvals list");
    expect((await world.send()).token?.credentials["api_key"]).toBe("secret-of-acme");
  });

  it("has the answer that came while nobody waited after a restart too, once", async () => {
    const text = "sent before and after";
    const caller = new AbortController();
    const sent = world.send(caller.signal, { text }).catch(() => undefined);
    const id = await world.held();
    caller.abort();
    await sent;
    await world.command("approve", id, "--yes");
    await world.daemon.restart();
    expect((await world.send(undefined, { text })).token?.credentials["api_key"]).toBe("secret-of-acme");
    const again = world.send(undefined, { text });
    const refused = expect(again).rejects.toMatchObject({ code: Code.PermissionDenied });
    expect(await world.held()).not.toBe(id);
    await world.clear();
    await refused;
  });

  it("is no business of agents", async () => {
    const restriction = { userIds: ["*"] };
    const made = { name: "agent", role: Role.AGENT, restriction };
    const { key } = await world.daemon.clients.access.createApiKey(made);
    const file = join(temporaryFolder(), "agent.key");
    writeFileSync(file, key, { mode: 0o600 });
    const env = { NEXUS_ADDRESS: world.daemon.place.httpUrl, NEXUS_API_KEY_FILE: file };
    const shell = fakeShell({ env });
    expect(await run(["approvals", "list"], shell)).not.toBe(0);
    expect(shell.err()).toContain("requires approval.decide");
  });
});

/** What nobody may be shown as it is. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const hostile = /<script>|[\u202a-\u202e\u2066-\u2069\u001b\u0007]/;

describe("a request that waits, in the console", () => {
  const world = perSuite(() => World.start());
  const signedIn = () => ConsoleVisitor.signedIn(world.daemon.clients);
  const token = (page: string) => /name="form_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
  const digest = (page: string) => /name="digest" value="(\w+)"/.exec(page)?.[1] ?? "";

  it("is counted in what needs a person, shown whole, and let go by a form of its page alone", async () => {
    const sent = world.send(undefined, {
      showsHeaders: true,
      headers: { "x-trace": "a, b" },
      session: "run-7",
    });
    const id = await world.held();
    const visitor = await signedIn();
    const overview = await visitor.visit("/overview");
    expect(overview.body).toContain("1 thing needs you");
    expect(overview.body).toContain(`href="/approvals/${id}"`);
    expect((await visitor.visit("/approvals")).body).toContain(`href="/approvals/${id}"`);
    const path = `/approvals/${id}`;
    const { status, body } = await visitor.visit(path);
    expect(status).toBe(200);
    for (const part of [
      ...["POST https://api.example/issues?x=1", "x-trace", "a, b", "title=hello\\u{202e}", "look first"],
      ...["owner", "run-7", "acme", "ada", digest(body)],
    ])
      expect(body).toContain(part);
    expect(body).toContain('value="hour"');
    expect(body).not.toContain('value="session"');
    const form = { form_token: token(body), digest: digest(body), answer: "yes", extent: "once" };
    // Programs that open links, or ask ahead, send no such form.
    for (const asked of [
      await visitor.visit(path),
      await visitor.visit(path, { method: "HEAD" }),
      await visitor.visit(`${path}?${new URLSearchParams(form)}`),
      await visitor.visit(path, { headers: { "sec-purpose": "prefetch" } }),
      await visitor.visit(path, { form: { ...form, form_token: "" } }),
      await visitor.visit(path, { form, headers: { origin: "https://evil.example" } }),
      await new ConsoleVisitor(visitor.origin).visit(path, { form }),
      await visitor.visit(path, { form: { ...form, answer: "perhaps" } }),
      await visitor.visit(path, { form: { ...form, digest: "00".repeat(32) } }),
      await visitor.visit(path, { form: { ...form, extent: "session" } }),
    ])
      expect(asked.status).not.toBe(303);
    expect(await world.held()).toBe(id);
    expect(await visitor.visit(path, { form })).toMatchObject({ status: 303 });
    expect((await sent).token?.credentials["api_key"]).toBe("secret-of-acme");
    expect((await visitor.visit(path)).status).toBe(404);
    expect((await visitor.visit(path, { form })).status).toBe(404);
  });

  it("is refused there, with a reason that its agent reads", async () => {
    const refused = expect(world.send()).rejects.toMatchObject({
      code: Code.PermissionDenied,
      message: expect.stringContaining("wrong repository"),
    });
    const visitor = await signedIn();
    const path = `/approvals/${await world.held()}`;
    const { body } = await visitor.visit(path);
    // Enter in the reason sends the form that denies.
    const [, approving = "", denying = ""] = body.split("<form").filter((part) => !part.includes("sign-out"));
    expect([approving.includes('value="yes"'), denying.includes('value="yes"')]).toEqual([true, false]);
    const form = { form_token: token(body), digest: digest(body), answer: "no", reason: "wrong repository" };
    await visitor.visit(path, { form });
    await refused;
    const [, decided = ""] = (await visitor.visit("/approvals?show=decided")).body.split("<tbody");
    const row = decided.slice(0, decided.indexOf("</tr>"));
    for (const part of ["Denied", "POST api.example/issues", "wrong repository", "ada at acme", ">owner<"])
      expect(row).toContain(part);
    expect(row).not.toContain("sha256");
    const [event = ""] = /\/activity\/\d+/.exec(row) ?? [];
    expect((await visitor.visit(event)).body).toContain("wrong repository");
  });

  it("is decided in the list by its own forms, unless its body is too long to be read there", async () => {
    const callers = [new AbortController(), new AbortController()] as const;
    const short = world.send(callers[0].signal, { text: '{"a":1}', session: "run-11" });
    const first = await world.held();
    const long = world.send(callers[1].signal, { text: "z".repeat(1_001), session: "run-12" });
    const refused = expect(long).rejects.toMatchObject({ message: expect.stringContaining("too long") });
    const visitor = await signedIn();
    const cards = async () => (await visitor.visit("/approvals")).body.split('<li id="held-').slice(1);
    await expect.poll(async () => (await cards()).length).toBe(2);
    const [own = "", other = ""] = await cards();
    expect(own).toContain(`action="/approvals/${first}"`);
    expect(own).toContain("{\n  &quot;a&quot;: 1\n}");
    expect(own).toMatch(/<progress aria-label="Time left" max="180" value="1[78]\d"/);
    expect([own, other].map((card) => card.includes('value="yes"'))).toEqual([true, false]);
    expect(other).not.toContain("zzz");
    const answer = { form_token: token(own), digest: digest(own), answer: "yes" };
    expect((await visitor.visit(`/approvals/${first}`, { form: answer })).status).toBe(303);
    await short;
    const [, action = ""] = /action="(\/approvals\/[^"]+)"/.exec(other) ?? [];
    const denial = { ...answer, digest: digest(other), answer: "no", reason: "too long" };
    expect((await visitor.visit(action, { form: denial })).status).toBe(303);
    await refused;
  });

  it("is reached by its signed link until it is answered, from a page of another site too", async () => {
    const sent = world.send(undefined, { url: "https://api.example/link", session: "run-8" });
    await world.held();
    const request = {
      ...{ method: "POST", url: "https://api.example/link", session: "run-8", bodySize: 14n },
      bodySha256: createHash("sha256").update("title=hello\u202e").digest(),
    };
    const { url } = await world.daemon.clients.approvals.findApprovalPage({ request });
    const visitor = await signedIn();
    const stranger = new ConsoleVisitor(visitor.origin);
    expect((await stranger.visit(url)).status).toBe(401);
    // Of a browser that is signed in, which keeps that from other sites, the page asks to be opened again.
    const led = await stranger.visit(url, { headers: { "sec-fetch-site": "cross-site" } });
    expect(led.body).toContain(`href="${new URL(url).pathname}"`);
    expect((await visitor.visit(`${url}x`)).status).toBe(404);
    const { body } = await visitor.visit(url);
    const action = /action="(\/approvals\/[^"]+)"/.exec(body)?.[1] ?? "";
    const form = { form_token: token(body), digest: digest(body), answer: "yes", extent: "once" };
    expect((await visitor.visit(action, { form })).status).toBe(303);
    await sent;
    expect((await visitor.visit(url)).status).toBe(404);
    await expect(world.daemon.clients.approvals.findApprovalPage({ request })).rejects.toThrow("not found");
  });

  it.each([
    {
      name: "bidirectional marks and homoglyphs of a URL",
      change: { url: "https://api.example/p\u0430y\u202e/tnuocca\u2066" },
      shown: ["/p\\u{430}y\\u{202e}/tnuocca\\u{2066}"],
    },
    {
      name: "terminal escapes and markup",
      change: {
        url: "https://api.example/<script>alert(1)</script>\u001b[2J",
        ...{
          text: "</pre><script>alert(2)</script>\u001b]0;x\u0007",
          showsHeaders: true,
          headers: { "x-a": '"><b>' },
        },
      },
      shown: [
        ...["/&lt;script&gt;alert(1)&lt;/script&gt;\\u{1b}[2J", "&quot;&gt;&lt;b&gt;"],
        "&lt;/pre&gt;&lt;script&gt;alert(2)&lt;/script&gt;\\u{1b}]0;x\\u{7}",
      ],
    },
    {
      name: "that it goes without TLS",
      change: { url: "http://api.example/plain" },
      shown: ["POST http://api.example/plain"],
    },
    {
      name: "letters of other scripts in a body",
      change: { text: "pay p\u0430ypal \u05d0 100" },
      shown: ['<bdo dir="ltr">pay p<mark>\u0430</mark>ypal <mark>\u05d0</mark> 100</bdo>'],
    },
    {
      name: "a line of 64 KiB",
      change: { text: "x".repeat(65_536) },
      shown: ["x".repeat(65_536)],
    },
    {
      name: "the size and digest of a line of 100 KiB",
      change: { text: "y".repeat(102_400) },
      shown: [
        "100.0 KiB",
        createHash("sha256").update("y".repeat(102_400)).digest("hex"),
        "only its size and digest",
      ],
    },
  ])("shows $name as what they are", async ({ change, shown }) => {
    const caller = new AbortController();
    const sent = world.send(caller.signal, change).catch(() => undefined);
    const visitor = await signedIn();
    const { body } = await visitor.visit(`/approvals/${await world.held()}`);
    const pages = [body];
    for (const part of shown) expect(body).toContain(part);
    for (const path of ["/approvals", "/overview"]) pages.push((await visitor.visit(path)).body);
    expect(pages.filter((page) => hostile.test(page))).toEqual([]);
    caller.abort();
    await sent;
    await world.clear();
  });

  it("is not shown to an agent that is signed in, nor answered by it", async () => {
    const caller = new AbortController();
    const sent = world.send(caller.signal).catch(() => undefined);
    const path = `/approvals/${await world.held()}`;
    const { access } = world.daemon.clients;
    const { key } = await access.createApiKey({
      name: "bot",
      role: Role.AGENT,
      restriction: { userIds: ["*"] },
    });
    const visitor = await ConsoleVisitor.signedIn(world.clientsOf(key));
    expect((await visitor.visit("/connections")).body).not.toContain("Approvals");
    const page = await visitor.visit(path);
    expect(page.status).toBe(403);
    expect(page.body).not.toContain("api.example");
    const { body } = await (await signedIn()).visit(path);
    const form = {
      form_token: await visitor.formToken(),
      digest: digest(body),
      answer: "yes",
      extent: "once",
    };
    expect((await visitor.visit(path, { form })).status).toBe(403);
    caller.abort();
    await sent;
    await world.clear();
  });

  it("is counted in the navigation of every page for who may decide, and for nobody else", async () => {
    const caller = new AbortController();
    const visitor = await signedIn();
    const countIn = (page: string) => /id="waiting-approvals"[\s\S]*?<\/a>/.exec(page)?.[0] ?? "";
    const counts = async (paths: readonly string[]) =>
      Promise.all(paths.map(async (path) => countIn((await visitor.visit(path)).body)));
    const paths = ["/overview", "/connections", "/approvals", "/settings", "/connections/nobody"];
    for (const none of await counts(paths))
      expect(none).toMatch(/^id="waiting-approvals"[^<]*<\/span><\/a>$/);
    const sent = world.send(caller.signal, { session: "run-10" }).catch(() => undefined);
    await world.held();
    for (const one of await counts(paths)) expect(one).toContain('<span class="hidden"> 1 waiting</span>');
    const brief = await world.daemon.clients.approvals.listHeldRequests({ brief: true });
    expect(brief.requests).toMatchObject([{ session: "run-10", bodyText: "", bodySize: 0n, headers: [] }]);

    const { key } = await world.daemon.clients.access.createApiKey({
      name: "looker",
      role: Role.AGENT,
      restriction: { userIds: ["*"] },
    });
    const agent = await ConsoleVisitor.signedIn(world.clientsOf(key));
    expect((await agent.visit("/connections")).body).not.toContain("waiting");
    const denied = await auditEvents(world.daemon.clients, { eventType: "access.denied" });
    expect(denied.filter(({ principal }) => principal === "key:looker")).toEqual([]);
    caller.abort();
    await sent;
    await world.clear();
  });
});

describe("the list of requests that wait", () => {
  const world = perSuite(() => World.start());
  const chromium = browser();

  it("keeps what a person types, and what stands above it, while others come and go", async () => {
    const callers = [new AbortController(), new AbortController(), new AbortController()] as const;
    const send = (index: 0 | 1 | 2) =>
      void world.send(callers[index].signal, { session: `run-${index}` }).catch(() => undefined);
    const firstOf = async (session: string) => {
      const { requests } = await world.daemon.clients.approvals.listHeldRequests({});
      return requests.find((each) => each.session === session)?.id ?? "";
    };
    const context = await chromium.newContext();
    const page = await context.newPage();
    const { url } = await world.daemon.clients.console.createConsoleLink({});
    await page.goto(url);
    send(0);
    await page.goto(new URL("/approvals", page.url()).href);
    const cards = page.locator(".waiting > li");
    await expect.poll(() => cards.count()).toBe(1);
    send(1);
    await expect.poll(() => cards.count(), { timeout: 30_000 }).toBe(2);
    const reason = page.getByLabel("Reason for a denial").nth(1);
    await reason.fill("not today");
    await world.command("deny", await firstOf("run-0"));
    send(2);
    await expect.poll(() => cards.count(), { timeout: 30_000 }).toBe(3);
    expect(await reason.inputValue()).toBe("not today");
    await page.getByRole("heading", { level: 1 }).click();
    await page.evaluate("document.activeElement?.blur()");
    await expect.poll(() => cards.count(), { timeout: 30_000 }).toBe(2);
    expect(await page.getByLabel("Reason for a denial").first().inputValue()).toBe("not today");
    callers[2].abort();
    await cards.nth(1).getByText("Its caller does not wait any more.").waitFor({ timeout: 30_000 });
    await world.clear();
    await page.getByText("No request waits for approval").waitFor({ timeout: 30_000 });
  });
});

describe("the count of requests that wait", () => {
  const world = perSuite(() => World.start());
  const chromium = browser();

  it("comes and goes on an open page that follows what changes", async () => {
    const context = await chromium.newContext();
    const page = await context.newPage();
    const { url } = await world.daemon.clients.console.createConsoleLink({});
    await page.goto(url);
    await page.goto(new URL("/agents", page.url()).href);
    const link = page.getByRole("navigation", { name: "Console" }).getByRole("link", { name: /^Approvals/ });
    expect(await link.textContent()).toBe("Approvals");
    const refused = expect(world.send()).rejects.toMatchObject({ code: Code.PermissionDenied });
    await page.getByRole("link", { name: /^Approvals 1 waiting$/ }).waitFor();
    await world.command("deny", await world.held());
    await refused;
    await page.getByRole("link", { name: "Approvals", exact: true }).waitFor();
    expect(await link.textContent()).toBe("Approvals");
  });
});
