import type { BrowserContextOptions, Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { statusPage } from "../../../../src/ext/console/status/status_page.js";
import type { DaemonStatus } from "../../../../src/model/connections/daemon_status.js";
import { opsListener } from "../../../../src/server/pages/ops_listener.js";
import { browser } from "../../../browser_fixture.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { perSuite } from "../../../lifetimes.js";
import { faultsOf, looks } from "../../../page_faults.js";
import { daemonStatus, failing, planned, statusTimeMs } from "../../../server/daemon_status.js";
import { loopback, opened, portOf } from "../../../server/temporary.js";
import { consolePaths, openConsent, outsidePaths, signedIn, tryRequest, withCallers } from "./pages.js";
import { everyState, hostile, SeededDaemon, stranger, withPolicy } from "./seeded_daemon.js";

describe.each(Object.entries({ everyState, hostile }))("every page of the console, with %s", (name, seed) => {
  // What is hostile is so in every colour: the two that differ most are enough.
  const looked = Object.entries(looks).filter(
    ([look]) => name === "everyState" || ["desktop-light", "phone-dark"].includes(look),
  );
  const daemon = perSuite(async () => {
    const seeded = await SeededDaemon.seeded(seed, name === "everyState" ? withPolicy() : {});
    await withCallers(seeded.clients, seeded.place.httpUrl);
    return seeded;
  });
  const chromium = browser();

  it.each(looked)(
    "is well formed for everybody: %s",
    async (_look, options) => {
      const context = await chromium.newContext(options);
      const page = await signedIn(context, daemon.clients);
      const troubles: string[] = [];
      page.on("console", (message) => troubles.push(`${message.type()}: ${message.text()}`));
      page.on("pageerror", (error) => troubles.push(`uncaught: ${error.message}`));
      const { connections } = await daemon.clients.connections.listConnections({});
      const troubled = connections.find(({ problem }) => problem);
      for (const [word, path] of Object.entries(
        consolePaths(troubled, name === "hostile" ? stranger : "owner"),
      )) {
        const answer = await page.goto(new URL(path, page.url()).href);
        expect([word, answer?.status()]).toEqual([word, 200]);
        expect([word, await faultsOf(page)]).toEqual([word, []]);
        expect(await page.title()).not.toBe("owned");
        expect(await page.locator("main script, main img, main iframe").count()).toBe(0);
      }
      await openConsent(page, troubled?.id ?? "");
      expect(await faultsOf(page)).toEqual([]);
      if (name === "everyState") {
        await tryRequest(page);
        expect(await faultsOf(page)).toEqual([]);
      }
      expect(troubles).toEqual([]);
    },
    150_000,
  );

  it("keeps its pages well formed for who is not signed in", async () => {
    const context = await chromium.newContext(looks["phone-light"]);
    const page = await context.newPage();
    const url = `http://${daemon.daemon.listeners.addresses.console?.[0]}`;
    for (const path of Object.values(outsidePaths)) {
      await page.goto(`${url}${path}`);
      expect([path, await faultsOf(page)]).toEqual([path, []]);
    }
  });

  it.each([
    ["/connections/nobody", 400],
    ["/connections/5f0c1a2e-8d3b-4a76-9c51-0e2f7b6d4c19", 404],
    ["/connections?after=x", 400],
  ])("says in a page of its own what is wrong with %s", async (path, status) => {
    const context = await chromium.newContext(looks["desktop-light"]);
    const page = await signedIn(context, daemon.clients);
    expect((await page.goto(new URL(path, page.url()).href))?.status()).toBe(status);
    expect(await page.getByRole("alert").textContent()).toMatch(/^[A-Z].*\.$/);
    expect(await faultsOf(page)).toEqual([]);
  });

  it("acts on no form that another page could have sent", async () => {
    const visitor = await ConsoleVisitor.signedIn(daemon.clients);
    const { connections } = await daemon.clients.connections.listConnections({});
    const paths = connections.flatMap((connection) => Object.values(consolePaths(connection)));
    const pages = await Promise.all([...new Set(paths)].map((path) => visitor.visit(path)));
    const forms = pages.flatMap(({ body }) =>
      [...body.matchAll(/<form[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => form),
    );
    const posting = forms.filter((form) => /method="post"/.test(form));
    const actions = new Set(posting.map((form) => /action="([^"]+)"/.exec(form)?.[1] ?? ""));
    expect(posting.every((form) => /name="form_token" value="[\w-]{43}"/.test(form))).toBe(true);
    expect(actions.size).toBeGreaterThan(connections.length);
    const before = await newestEvent();
    const token = await visitor.formToken();
    for (const action of actions) {
      const statuses = [
        await visitor.visit(action, { form: {} }),
        await visitor.visit(action, { form: { form_token: `${token.slice(1)}x` } }),
        await visitor.visit(action, {
          form: { form_token: token },
          headers: { origin: "http://127.0.0.1:1" },
        }),
        await visitor.visit(action, {
          form: { form_token: token },
          headers: { "sec-fetch-site": "same-site" },
        }),
        await visitor.visit(action),
      ].map(({ status }) => status);
      // The last is a page that asks, or that such a page is not for looking at.
      expect([action, statuses.slice(0, 4)]).toEqual([action, [403, 403, 403, 403]]);
      expect([action, statuses[4]]).toEqual([action, expect.toBeOneOf([200, 404, 405])]);
    }
    expect(await newestEvent()).toBe(before);
  });

  const newestEvent = async () =>
    (await daemon.clients.audit.listAuditEvents({ pageSize: 1 })).events[0]?.sequence;
});

/** Where screenshots are put; none are made when it is unset. */
const shots = process.env["NEXUS_TEST_SHOTS"];

const hostileName = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">\u202egpj`;
const long = `a-${"very-long-name-".repeat(4)}of-a-provider`;

const statuses: Readonly<Record<string, DaemonStatus>> = {
  empty: daemonStatus(),
  busy: daemonStatus({
    state: "attention",
    subscribers: 4,
    storeBytes: 13_002_342,
    connections: { pending: 2, active: 1_204_318, attention: 3, revoked: 17, expired: 40, failed: 1 },
    refreshesRunning: 2,
    nextRefreshes: [
      planned({ dueAtMs: statusTimeMs - 500 }),
      planned({ dueAtMs: statusTimeMs + 12_000, providerName: "google", failedRefreshes: 3 }),
      planned({ providerName: "slack" }),
      planned({ dueAtMs: statusTimeMs + 7_500_000 }),
    ],
    failingProviders: [
      failing({
        providerName: "salesforce",
        reason: "misconfigured",
        isSuspended: true,
        retryAtMs: statusTimeMs + 30_000,
      }),
      failing(),
    ],
    failingProviderCount: 2,
  }),
  hostile: daemonStatus({
    state: "not_ready",
    version: hostileName,
    checks: { serving: true, refreshing: `due work has not moved ${hostileName}`, storing: false },
    connections: { pending: 1, active: 1, attention: 1, revoked: 1, expired: 1, failed: 1 },
    refreshLagMs: 72_000,
    nextRefreshes: [
      planned({ providerName: hostileName }),
      planned({ providerName: long, failedRefreshes: 12 }),
      planned({ providerName: "x".repeat(300) }),
    ],
    failingProviders: [
      failing({ providerName: hostileName, reason: "ambiguous" }),
      failing({ providerName: "x".repeat(300), reason: "rejected" }),
    ],
    failingProviderCount: 12,
  }),
  draining: daemonStatus({
    state: "draining",
    checks: { serving: "the daemon is ending", refreshing: true, storing: true },
  }),
};

describe("the status in Chromium", () => {
  const chromium = browser();

  const show = async (status: DaemonStatus, options: BrowserContextOptions = {}) => {
    const shown = { status, visits: 0 };
    const listener = await opened(
      opsListener({
        listen: loopback,
        setting: "NEXUS_OPS_LISTEN",
        readiness: () => ({}),
        metrics: () => Promise.reject(new Error()),
        pages: {
          "/status": async (query) => {
            shown.visits++;
            return statusPage(shown.status, { reloads: query.get("refresh") !== "off" });
          },
        },
        onUnexpected: (error) => {
          throw error;
        },
      }),
    );
    const context = await chromium.newContext(options);
    const page = await context.newPage();
    const troubles: string[] = [];
    page.on("console", (message) => void troubles.push(message.text()));
    page.on("pageerror", (error) => void troubles.push(error.message));
    page.on("requestfailed", (request) => void troubles.push(`request failed: ${request.url()}`));
    await page.goto(`http://127.0.0.1:${portOf(listener)}/status`);
    return { page, troubles, shown };
  };
  const isWiderThanScreen = (page: Page) =>
    page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");

  const looks = (["light", "dark"] as const).flatMap((colorScheme) =>
    [390, 1000].flatMap((width) => Object.keys(statuses).map((name) => ({ name, colorScheme, width }))),
  );
  it.each(looks)("$name, $colorScheme, $width wide: fits and is styled", async (look) => {
    const { name, colorScheme, width } = look;
    const viewport = { width, height: 800 };
    const { page, troubles } = await show(statuses[name] ?? daemonStatus(), { colorScheme, viewport });
    expect(await isWiderThanScreen(page)).toBe(false);
    // Were the hash of the style wrong, the policy would take it away.
    const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(ground).toBe(colorScheme === "dark" ? "rgb(16, 18, 23)" : "rgb(246, 247, 249)");
    expect(await page.locator("script, img, iframe, form").count()).toBe(0);
    expect(troubles).toEqual([]);
    if (shots !== undefined) {
      await page.screenshot({ path: `${shots}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  });

  it("says what is there, and hostile names are text", async () => {
    const { page } = await show(statuses["hostile"] ?? daemonStatus());
    expect(await page.title()).toBe("Not ready - nexusd");
    const names = await page.locator("section bdi").allTextContents();
    expect(names).toEqual([hostileName, "x".repeat(300)]);
    expect(await page.locator("header .bad").allTextContents()).toEqual([
      `refreshing: due work has not moved ${hostileName}`,
      "storing: no",
    ]);
    expect(await page.locator("main").textContent()).toMatch(/the oldest late by 1m 12s/);
  });

  it("has each state with its count, and a part of the bar for each that is not 0", async () => {
    const { page } = await show(statuses["busy"] ?? daemonStatus());
    expect(await page.locator(".states li").allInnerTexts()).toEqual([
      "3\nAttention",
      "1,204,318\nActive",
      "2\nPending",
      "1\nFailed",
      "40\nExpired",
      "17\nRevoked",
    ]);
    const outlines =
      "[...document.querySelectorAll('rect')].map((part) => getComputedStyle(part).strokeWidth)";
    expect(await page.evaluate(outlines)).toEqual(Array(6).fill("3px"));
  });

  it("loads itself again without a script", async () => {
    const { page, shown } = await show(daemonStatus(), { javaScriptEnabled: false });
    shown.status = statuses["draining"] ?? daemonStatus();
    await page.waitForEvent("load", { timeout: 30_000 });
    expect(await page.title()).toBe("Ending - nexusd");
    await page.getByText("Stop reloading").click();
    await page.getByText("Stands still.").waitFor();
    expect(shown.visits).toBe(3);
  }, 60_000);
});
