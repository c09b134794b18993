import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import type { HeldRequest } from "../../../../src/gen/nexus/v1/approval_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../../../browser_fixture.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { auditEvents } from "../../../daemon/audit_events.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { perSuite } from "../../../lifetimes.js";
import { faultsOfLooks } from "../../../page_faults.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { Phone } from "../phone.js";

class World {
  constructor(
    readonly daemon: TestDaemon,
    readonly connectionId: string,
  ) {}

  static async start(settings: Record<string, string> = {}): Promise<World> {
    const file = join(temporaryFolder(), "policy.yaml");
    const rules = [
      `{ providers: [acme], when: request.path.startsWith("/both"), then: ask, approvers: 2 }`,
      "{ providers: [acme], then: ask, because: look <b>first</b> }",
    ];
    writeFileSync(file, `rules: [${rules.join(", ")}]\n`);
    const own = { NEXUS_POLICY_FILE: file, NEXUS_APPROVALS_LISTEN: "127.0.0.1:0", ...settings };
    const daemon = await TestDaemon.start(own);
    const { providers, connections } = daemon.clients;
    const provider = { name: "acme", authType: AuthType.API_KEY, apiBaseUrl: "https://api.example" };
    const { provider: made } = await providers.createProvider({ provider });
    const credentials = { api_key: "secret-of-acme" };
    const ofAda = { providerId: made?.id ?? "", userId: "ada", credentials };
    const imported = await connections.importConnection(ofAda);
    return new World(daemon, imported.connection?.id ?? "");
  }

  stop(): Promise<void> {
    return this.daemon.close();
  }

  /** A request that waits, and what becomes of it. */
  async held(change: { readonly text?: string; readonly path?: string } = {}) {
    const { text = '{"title":"hello"}', path = "/issues" } = change;
    const { connectionId } = this;
    const body = Buffer.from(text);
    const bodySha256 = createHash("sha256").update(body).digest();
    const shown = { bodySize: BigInt(body.length), bodySha256, body, session: "run-1" };
    const request = { method: "POST", url: `https://api.example${path}`, ...shown };
    const sent = this.daemon.clients.tokens.getToken({ connectionId, request }).then(
      ({ token }) => token?.credentials["api_key"],
      ({ code }: { readonly code: Code }) => Code[code],
    );
    const { approvals } = this.daemon.clients;
    let found: HeldRequest | undefined;
    await expect
      .poll(async () => {
        const { requests } = await approvals.listHeldRequests({});
        found = requests.find(
          ({ url, bodySha256: digest }) => url.endsWith(path) && bodySha256.equals(digest),
        );
        return found !== undefined;
      })
      .toBe(true);
    return { sent, request: found as unknown as HeldRequest };
  }

  /** Denies all that waits. */
  async clear(): Promise<void> {
    const { approvals } = this.daemon.clients;
    for (const { id, digest } of (await approvals.listHeldRequests({})).requests)
      await approvals.decideHeldRequest({ id, digest: new Uint8Array(digest) });
  }

  async command(...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: this.daemon.place.config.dataDir } });
    const code = await run(args, shell);
    return { code, out: shell.out(), err: shell.err() };
  }
}

describe("a passkey approves a held request on a page without a session", () => {
  const world = perSuite(() => World.start());
  const chromium = browser();
  /** Registered under this name. */
  const phoneOf = async (name: string) => {
    const made = await Phone.made(chromium);
    await made.register(await world.daemon.clients.approvals.addApprover({ name }));
    return made;
  };
  const post = (url: string, form: Record<string, string>, headers = {}) =>
    new ConsoleVisitor(new URL(url).origin).visit(url, { form, headers });

  it("once, and the audit log says by which passkey", async () => {
    const ada = await phoneOf("ada");
    const { sent, request } = await world.held();
    await ada.page.goto(request.passkeyUrl);
    await expect.poll(() => ada.page.getByRole("timer").textContent()).toMatch(/^[0-3]:\d\d left$/);
    expect(await ada.page.locator("h1").textContent()).toBe("POST https://api.example/issues");
    expect(await ada.page.locator("pre").textContent()).toBe('{\n  "title": "hello"\n}');
    await ada.page.getByRole("button", { name: "Approve with a passkey" }).click();
    expect(await sent).toBe("secret-of-acme");
    await expect.poll(() => ada.page.locator("h1").textContent()).toBe("Approved");
    const [given] = await auditEvents(world.daemon.clients, { eventType: "approval.given" });
    expect(given).toMatchObject({ principal: "passkey:ada", approver: "passkey:ada" });
    expect(
      (await new ConsoleVisitor(new URL(request.passkeyUrl).origin).visit(request.passkeyUrl)).status,
    ).toBe(404);
  });

  it("as one of several approvers, beside the command and the console, and says how many are missing", async () => {
    const ada = await phoneOf("ada.both");
    const { sent, request } = await world.held({ path: "/both/1" });
    const approve = async () => {
      await ada.page.goto(request.passkeyUrl);
      await ada.page.getByRole("button", { name: "Approve with a passkey" }).click();
    };
    await ada.page.goto(request.passkeyUrl);
    expect(await ada.page.locator("main").textContent()).toContain("0 of 2");
    await approve();
    await expect.poll(() => ada.page.locator("h1").textContent()).toBe("Approved by you");
    await ada.page.goto(request.passkeyUrl);
    expect(await ada.page.locator("main").textContent()).toContain("1 of 2: passkey:ada.both");
    expect(await ada.page.locator("main").textContent()).toContain("sent once 2 approvers have approved it");
    await approve();
    await expect.poll(() => ada.page.getByRole("alert").textContent()).toContain("you approved this request");
    const listed = await world.command("approvals", "list");
    expect(listed.out).toContain("1 of 2 approved: POST https://api.example/both/1");
    const done = await world.command("approvals", "approve", request.id, "--yes");
    expect(done.err).toMatch(/\napprovals +1 of 2: passkey:ada\.both\n/);
    expect(done.out).toBe(`${request.id} is approved\n`);
    expect(await sent).toBe("secret-of-acme");
    const given = await auditEvents(world.daemon.clients, { eventType: "approval.given" });
    const shares = given.flatMap(({ approver, reason }) => {
      const [, share] = /\(line \d+, (\d of \d), /.exec(reason) ?? [];
      return share === undefined ? [] : `${approver}: ${share}`;
    });
    expect(shares.toSorted()).toEqual(["owner: 2 of 2", "passkey:ada.both: 1 of 2"]);
    const read = await auditEvents(world.daemon.clients, { eventType: "token_retrieved" });
    expect(read.map(({ approver }) => approver)).toContain("passkey:ada.both, owner");

    const other = await world.held({ path: "/both/2" });
    const first = await world.command("approvals", "approve", other.request.id, "--yes");
    expect(first.out).toBe(`${other.request.id} is approved: it waits for 1 more approver\n`);
    const again = await world.command("approvals", "approve", other.request.id, "--yes");
    expect([again.code, again.err]).toEqual([1, expect.stringContaining("it waits for another approver")]);
    await world.clear();
    expect(await other.sent).toBe("PermissionDenied");
  });

  it("after it was registered by a link that works once, on record with who made the link", async () => {
    const phoneOfBob = await Phone.made(chromium);
    const url = await phoneOfBob.register(await world.daemon.clients.approvals.addApprover({ name: "bob" }));
    expect((await phoneOfBob.page.goto(url))?.status()).toBe(410);
    const { out } = await world.command("approvers", "list");
    expect(out).toMatch(/^NAME +PASSKEY +ADDED +BY\nada .*owner\nada\.both .*owner\nbob .*owner\n/);
    const added = (await auditEvents(world.daemon.clients, { eventType: "approver.added" })).at(-1);
    expect(added).toMatchObject({ principal: "owner", reason: "bob" });
    expect((await world.command("approvers", "add", "bob")).err).toContain("an approver is named bob");

    const { request } = await world.held();
    const form = await phoneOfBob.signed(request.passkeyUrl);
    expect((await world.command("approvers", "remove", "bob", "--yes")).code).toBe(0);
    const refused = await post(request.passkeyUrl, form);
    expect([refused.status, refused.body]).toEqual([403, expect.stringContaining("not registered here")]);
    const [removed] = await auditEvents(world.daemon.clients, { eventType: "approver.removed" });
    expect(removed).toMatchObject({ principal: "owner", reason: "bob" });
    await world.clear();
  });

  it("not when the user was not verified", async () => {
    const ada = await phoneOf("ada.unverified");
    const { request } = await world.held();
    await ada.verifiesUser(false);
    await ada.page.goto(request.passkeyUrl);
    await ada.page.getByRole("button", { name: "Approve with a passkey" }).click();
    await expect.poll(() => ada.page.getByRole("alert").textContent()).toContain("NotAllowedError");
    const form = await ada.signed(request.passkeyUrl, { uv: "discouraged" });
    await ada.verifiesUser(true);
    const { status, body } = await post(request.passkeyUrl, form);
    expect([status, body]).toEqual([403, expect.stringContaining("was not accepted")]);
    await world.clear();
  });

  it("not by what a page of another origin had signed", async () => {
    const ada = await phoneOf("ada.elsewhere");
    const { request } = await world.held();
    const { url } = await world.daemon.clients.console.createConsoleLink({});
    const at = `http://localhost:${new URL(url).port}/`;
    const form = await ada.signed(request.passkeyUrl, { at });
    const { status, body } = await post(request.passkeyUrl, form);
    expect([status, body]).toEqual([403, expect.stringContaining("was not accepted")]);
    // The same, signed by the page itself, counts.
    expect((await post(request.passkeyUrl, await ada.signed(request.passkeyUrl))).status).toBe(200);
  });

  it("not by what was signed for another request, and not twice", async () => {
    const ada = await phoneOf("ada.twice");
    const [one, other] = [await world.held({ path: "/one" }), await world.held({ path: "/other" })];
    const form = await ada.signed(one.request.passkeyUrl);
    const crossed = await post(other.request.passkeyUrl, form);
    expect([crossed.status, crossed.body]).toEqual([403, expect.stringContaining("was not accepted")]);
    // Even the nonce of the other page does not make it good.
    const { nonce } = await ada.signed(other.request.passkeyUrl);
    const mixed = await post(other.request.passkeyUrl, { ...form, nonce });
    expect([mixed.status, mixed.body]).toEqual([403, expect.stringContaining("was not accepted")]);
    expect((await post(one.request.passkeyUrl, form)).status).toBe(403);

    const again = await ada.signed(one.request.passkeyUrl);
    expect((await post(one.request.passkeyUrl, again)).status).toBe(200);
    expect(await one.sent).toBe("secret-of-acme");
    // The agent sends the very same request once more: it has another link, and what was signed is of no use.
    const repeated = await world.held({ path: "/one" });
    expect((await post(one.request.passkeyUrl, again)).status).toBe(404);
    expect((await post(repeated.request.passkeyUrl, again)).status).toBe(403);
    await world.clear();
    expect([await other.sent, await repeated.sent]).toEqual(["PermissionDenied", "PermissionDenied"]);
  });

  it("for a plan, whose digest it signs, and shows its hostile texts as texts", async () => {
    const ada = await phoneOf("ada.plan");
    const { approvals, tokens } = world.daemon.clients;
    const asked = async (reason: string) => {
      const url = `https://api.example/plan/{id}/${"x".repeat(300)}`;
      const requests = [
        { provider: "acme", method: "POST", url },
        {
          provider: "acme",
          method: "POST",
          url: "https://api.example/mail",
          body: { to: "<b>\u202e" },
          count: 1,
        },
      ];
      const value = { userId: "ada", reason, lifetime: { seconds: 3_600n }, requests };
      const { id } = await approvals.requestPlan({ subject: { case: "plan", value } });
      const held = (await approvals.listHeldRequests({})).plans.find((one) => one.id === id);
      if (!held) throw new Error("the plan does not wait");
      return held;
    };
    const one = await asked("</pre><script>document.title='owned'</script>\u202e р");
    const other = await asked("another");
    const form = await ada.signed(one.passkeyUrl);
    expect(await ada.page.title()).toBe("Approve a plan? - nexusd");
    expect(await ada.page.locator("main script, main img").count()).toBe(0);
    expect(await ada.page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    expect(await ada.page.locator("pre").textContent()).toContain("\\u{202e} р");
    expect(await ada.page.locator("mark").textContent()).toBe("р");
    expect(await ada.page.locator("ol").textContent()).toContain("<b>\\u{202e}");
    const { NEXUS_TEST_PLAN_SCREENSHOT: file } = process.env;
    if (file) await ada.page.screenshot({ path: file, fullPage: true });
    expect((await post(other.passkeyUrl, form)).status).toBe(403);
    await ada.page.goto(one.passkeyUrl);
    await ada.page.getByRole("button", { name: "Approve with a passkey" }).click();
    await expect.poll(() => ada.page.locator("h1").textContent()).toBe("Approved");
    const [given] = await auditEvents(world.daemon.clients, { eventType: "plan.approved" });
    expect(given).toMatchObject({ principal: "passkey:ada.plan", approver: "passkey:ada.plan" });
    const body = Buffer.from("");
    const bodySha256 = createHash("sha256").update(body).digest();
    const url = `https://api.example/plan/7/${"x".repeat(300)}`;
    const request = { method: "POST", url, bodySize: 0n, bodySha256, body };
    const { token } = await tokens.getToken({ connectionId: world.connectionId, request });
    expect(token?.credentials["api_key"]).toBe("secret-of-acme");
    expect((await post(one.passkeyUrl, { answer: "no" })).status).toBe(404);
    expect((await post(other.passkeyUrl, { answer: "no" })).status).toBe(200);
    const states = (await approvals.listHeldRequests({})).plans.map(({ approver }) => approver);
    expect(states).toEqual(["passkey:ada.plan"]);
  });

  it("and whoever has the link denies without one, but nobody else", async () => {
    await phoneOf("ada.link");
    const { sent, request } = await world.held();
    const url = request.passkeyUrl;
    const altered = `${url.slice(0, -1)}${url.endsWith("A") ? "B" : "A"}`;
    expect((await post(altered, { answer: "no" })).status).toBe(404);
    const byId = new URL(`/approve/${request.id}`, url).href;
    expect((await post(byId, { answer: "no" })).status).toBe(404);
    const foreign = { origin: "https://evil.example", "sec-fetch-site": "cross-site" };
    expect((await post(url, { answer: "no" }, foreign)).status).toBe(403);
    expect((await post(url, { answer: "maybe" })).status).toBe(400);
    expect((await post(url, { answer: "no", reason: "two\nlines" })).status).toBe(403);
    expect((await post(url, { answer: "yes", nonce: "x", credential: "{" })).status).toBe(403);
    const rebound = await new ConsoleVisitor(new URL(url).origin).visit(url, {
      headers: { host: "evil.example" },
    });
    expect(rebound.status).toBe(421);
    expect((await post(url, { answer: "no", reason: "wrong repository" })).status).toBe(200);
    expect(await sent).toBe("PermissionDenied");
    const refused = (await auditEvents(world.daemon.clients, { eventType: "approval.refused" })).at(-1);
    expect(refused).toMatchObject({
      principal: "browser",
      reason: expect.stringContaining(": wrong repository"),
    });
  });

  it("on pages that are well formed at every width, light and dark", async () => {
    await phoneOf("ada.looks");
    const { url } = await world.daemon.clients.approvals.addApprover({ name: "grace" });
    const text = JSON.stringify({ title: "Pay p\u0430ypal", labels: ["bug"], assignees: [{ login: "ada" }] });
    const { request } = await world.held({ path: "/repos/acme/site/issues", text });
    const long = await world.held({ path: `/${"long-".repeat(60)}`, text: "w".repeat(900) });
    const several = await world.held({ path: "/both/looks" });
    await world.command("approvals", "approve", several.request.id, "--yes");
    const counted = async (page: Page, address: string) => {
      await page.goto(address);
      await expect.poll(() => page.getByRole("timer").textContent()).toMatch(/left$/);
    };
    const pages: Record<string, (page: Page) => Promise<unknown>> = {
      passkey: (page) => counted(page, request.passkeyUrl),
      "passkey-long": (page) => counted(page, long.request.passkeyUrl),
      "passkey-refused": async (page) => {
        await counted(page, request.passkeyUrl);
        // No authenticator is here.
        await page.getByRole("button", { name: "Approve with a passkey" }).click();
        await page.getByRole("alert").waitFor();
      },
      "passkey-several": (page) => counted(page, several.request.passkeyUrl),
      "passkey-register": (page) => page.goto(url),
      "passkey-gone": (page) => page.goto(new URL("/approve/x", url).href),
    };
    for (const [word, leads] of Object.entries(pages))
      expect([word, await faultsOfLooks(chromium, word, leads)]).toEqual([word, {}]);
    await world.clear();
  }, 300_000);

  it("and shows hostile texts as texts, on a phone", async () => {
    const path = `/<script>document.title='owned'</script>/${"x".repeat(300)}\u202egnp.exe?q=${"%22%3E".repeat(40)}`;
    const lines = [
      `</pre><img src=x onerror="document.title='owned'">`,
      "\u202e\u2066\u0000 раураl",
      "w".repeat(500),
    ];
    const { page } = await phoneOf("ada.hostile");
    const { request } = await world.held({ path: encodeURI(path), text: JSON.stringify({ lines, n: 1 }) });
    expect((await page.goto(request.passkeyUrl))?.status()).toBe(200);
    await expect.poll(() => page.getByRole("timer").textContent()).toMatch(/left$/);
    expect(await page.title()).toBe("Approve a request? - nexusd");
    expect(await page.locator("main script, main img, main b").count()).toBe(0);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(390);
    expect(await page.locator("pre").textContent()).not.toMatch(/[\u202e\u2066]/);
    expect(await page.locator("mark").first().textContent()).toBe("раура");
    const { NEXUS_TEST_SCREENSHOT: file } = process.env;
    if (file) await page.screenshot({ path: file, fullPage: true });
    await world.clear();
  });
});

describe("a daemon that wants a passkey", () => {
  const world = perSuite(() => World.start({ NEXUS_APPROVALS_REQUIRE_PASSKEY: "true" }));
  const chromium = browser();

  it("lets commands and the console deny, and nothing but a passkey approve", async () => {
    const first = await world.held();
    const { id, digest } = first.request;
    expect([first.request.needsPasskey, first.request.passkeyUrl]).toEqual([true, ""]);
    expect((await world.command("approvals", "approve", id, "--yes")).err).toContain("nobody has one");
    const { approvals } = world.daemon.clients;
    const approval = { id, digest: new Uint8Array(digest), approve: true };
    await expect(approvals.decideHeldRequest(approval)).rejects.toMatchObject({
      code: Code.PermissionDenied,
    });
    const visitor = await ConsoleVisitor.signedIn(world.daemon.clients);
    const page = await visitor.visit(`/approvals/${id}`);
    expect(page.body).toContain("nobody has registered one");
    expect(page.body).not.toMatch(/value="yes"/);

    const ada = await Phone.made(chromium);
    await ada.register(await world.daemon.clients.approvals.addApprover({ name: "ada" }));
    const { requests } = await approvals.listHeldRequests({});
    const url = requests[0]?.passkeyUrl ?? "";
    expect((await world.command("approvals", "approve", id, "--yes")).err).toContain(`open ${url}`);
    expect((await visitor.visit(`/approvals/${id}`)).body).toContain(`href="${url}"`);
    expect((await world.command("approvals", "deny", id)).code).toBe(0);
    expect(await first.sent).toBe("PermissionDenied");
    const second = await world.held();
    await ada.page.goto(second.request.passkeyUrl);
    await ada.page.getByRole("button", { name: "Approve with a passkey" }).click();
    expect(await second.sent).toBe("secret-of-acme");
  });
});

it("has no pages, and registers nobody, unless a setting opens them", async () => {
  const world = await World.start({ NEXUS_APPROVALS_LISTEN: "off" });
  try {
    const { err } = await world.command("approvers", "add", "ada");
    expect(err).toContain("NEXUS_APPROVALS_LISTEN");
    expect((await world.held()).request).toMatchObject({ passkeyUrl: "", needsPasskey: false });
    await world.clear();
  } finally {
    await world.stop();
  }
});
