import { describe, expect, it } from "vitest";
import { browser } from "../../../browser_fixture.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { perSuite } from "../../../lifetimes.js";
import { faultsOf, looks } from "../../../page_faults.js";
import { consolePaths, openConsent, outsidePaths, signedIn, withCallers } from "./pages.js";
import { everyState, hostile, SeededDaemon } from "./seeded_daemon.js";

describe.each(Object.entries({ everyState, hostile }))("every page of the console, with %s", (name, seed) => {
  // What is hostile is so in every colour: the two that differ most are enough.
  const looked = Object.entries(looks).filter(
    ([look]) => name === "everyState" || ["desktop-light", "phone-dark"].includes(look),
  );
  const daemon = perSuite(async () => {
    const seeded = await SeededDaemon.seeded(seed);
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
      for (const [word, path] of Object.entries(consolePaths(troubled))) {
        const answer = await page.goto(new URL(path, page.url()).href);
        expect([word, answer?.status()]).toEqual([word, 200]);
        expect([word, await faultsOf(page)]).toEqual([word, []]);
        expect(await page.title()).not.toBe("owned");
        expect(await page.locator("main script, main img, main iframe").count()).toBe(0);
      }
      await openConsent(page, troubled?.id ?? "");
      expect(await faultsOf(page)).toEqual([]);
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
