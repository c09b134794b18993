import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../../../browser_fixture.js";
import { clientsWithKey } from "../../../daemon/clients_with_key.js";
import type { Clients } from "../../../daemon/harness.js";
import { World } from "../../../daemon/harness.js";
import { requestOf } from "../../../daemon/requests.js";
import { perTest } from "../../../lifetimes.js";
import { faultsOf } from "../../../page_faults.js";
import { signedIn } from "./pages.js";

describe("a list that a person looks at", () => {
  const chromium = browser();
  const world = perTest(() => World.make());

  /** Where the stream is open. */
  const opened = async (path: string, clients: Pick<Clients, "console"> = world.clients): Promise<Page> => {
    const page = await signedIn(await chromium.newContext(), clients);
    await page.goto(new URL(path, page.url()).href);
    await page.getByText("Live", { exact: true }).waitFor();
    return page;
  };
  const rowOf = (page: Page, connectionId: string) => page.locator(`#c-${connectionId}`);
  const requested = async (providerId: string, userId: string): Promise<string> =>
    (await world.clients.connections.requestConnection(requestOf(providerId, { userId }))).connectionId;
  const stays = { timeout: 30_000 };

  it("gets connections that are made, with the names of their providers, and loses those that are erased", async () => {
    const page = await opened("/connections");
    await page.getByText("There is no connection yet.").waitFor();
    expect(await page.locator("table.connections").isVisible()).toBe(false);
    const providerId = await world.register("acme");
    const first = await requested(providerId, "ada");
    await rowOf(page, first).waitFor(stays);
    expect(await page.getByText("There is no connection yet.").isVisible()).toBe(false);
    const announced = () => page.locator("[data-announce]").textContent();
    await expect.poll(announced).toBe("acme, ada: Pending");
    const second = await world.connect(providerId, "grace");
    await rowOf(page, second).getByText("Active", { exact: true }).waitFor(stays);
    await page.locator("nav.tabs", { hasText: "All 2" }).waitFor(stays);
    expect(await faultsOf(page)).toEqual([]);

    await world.clients.connections.deleteConnection({ connectionId: second });
    await rowOf(page, second).waitFor({ state: "detached", ...stays });
    await world.clients.connections.deleteConnection({ connectionId: first });
    await page.getByText("There is no connection yet.").waitFor(stays);
    expect(await page.locator("table.connections").isVisible()).toBe(false);
  });

  it("gets what fits its search and state alone", async () => {
    const providerId = await world.register("acme");
    const troubled = await world.connect(providerId, "grace");
    const other = await world.connect(providerId, "ada");
    const page = await opened("/connections?state=attention&search=GRACE");
    const announced = page.locator("[data-announce]");
    await world.provider.revokeAllGrants();
    for (const connectionId of [other, troubled]) {
      await world.clients.connections.refreshConnection({ connectionId }).catch(() => undefined);
    }
    await rowOf(page, troubled).waitFor(stays);
    expect(await announced.textContent()).toBe("acme, grace: Attention");
    expect(await page.locator("table.connections tbody tr").count()).toBe(1);
  });

  it("gets what its caller may see alone", async () => {
    const providerId = await world.register("acme");
    const clients = await clientsWithKey(world, {
      name: "agent",
      role: Role.AGENT,
      restriction: { userIds: ["ada"] },
    });
    const page = await opened("/connections", clients);
    const hidden = await requested(providerId, "grace");
    const seen = await requested(providerId, "ada");
    await rowOf(page, seen).waitFor(stays);
    expect(await rowOf(page, hidden).count()).toBe(0);
    expect(await page.content()).not.toContain("grace");
  });

  it("has what was made between the page and its stream, and while nobody looked", async () => {
    const providerId = await world.register("acme");
    const page = await signedIn(await chromium.newContext(), world.clients);
    let made = "";
    await page.route("**/connections/live?*", async (route) => {
      if (made === "") made = await requested(providerId, "ada");
      await route.continue();
    });
    await page.goto(new URL("/connections", page.url()).href);
    await page.locator("table.connections tbody tr").waitFor(stays);
    await rowOf(page, made).waitFor(stays);

    const look = (isHidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, "hidden", { value: ${isHidden}, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`,
      );
    await look(true);
    await world.clients.connections.deleteConnection({ connectionId: made });
    const later = await requested(providerId, "grace");
    await look(false);
    await rowOf(page, later).waitFor(stays);
    await rowOf(page, made).waitFor({ state: "detached", ...stays });
  });

  it("has new ones at its top where there are more pages, on the first of them", async () => {
    const providerId = await world.register("acme");
    const old: string[] = [];
    for (let index = 0; index < 27; index++) old.push(await requested(providerId, `user-${index}`));
    world.clock.advance(1_000);
    const page = await opened("/connections");
    const rows = page.locator("table.connections tbody tr");
    expect(await rows.count()).toBe(25);
    const after = await page.getByRole("link", { name: "Next page" }).getAttribute("href");
    const second = await opened(after ?? "");
    // One of another page that changes is not new.
    const shown = await rows.evaluateAll<string[], { id: string }>((each) =>
      each.map(({ id }) => id.slice(2)),
    );
    const leaderPage = old.find((id) => !shown.includes(id)) ?? "";
    await world.clients.connections.revokeConnection({ connectionId: leaderPage });
    await rowOf(second, leaderPage).getByText("Revoked").waitFor(stays);
    const made = await requested(providerId, "newest");
    await rowOf(page, made).waitFor(stays);
    expect(await rows.first().getAttribute("id")).toBe(`c-${made}`);
    expect([await rows.count(), await second.locator("table.connections tbody tr").count()]).toEqual([26, 2]);
  });

  it("gets providers that are added, and loses those that are deleted", async () => {
    const page = await signedIn(await chromium.newContext(), world.clients);
    await page.goto(new URL("/providers", page.url()).href);
    await page.getByText("There is no provider yet").waitFor();
    const kind = { authType: AuthType.API_KEY };
    const { provider } = await world.clients.providers.createProvider({
      provider: { ...kind, name: "late" },
    });
    await page.getByRole("link", { name: "late", exact: true }).waitFor(stays);
    await world.clients.providers.deleteProvider({ id: provider?.id ?? "" });
    await page.getByText("There is no provider yet").waitFor(stays);
  });
});
