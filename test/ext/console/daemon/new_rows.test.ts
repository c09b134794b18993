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

  /** Where the script follows what changes. */
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

  it("has what was made while nobody looked", async () => {
    const providerId = await world.register("acme");
    const made = await requested(providerId, "ada");
    const page = await opened("/connections");
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

  it("keeps what is selected and where the focus is when a row changes", async () => {
    const providerId = await world.register("acme");
    const [ada, grace] = [await world.connect(providerId, "ada"), await world.connect(providerId, "grace")];
    const page = await opened("/connections");
    await rowOf(page, grace).getByRole("checkbox").check();
    await rowOf(page, ada).getByRole("link").focus();
    await page.evaluate("window.kept = document.activeElement");
    await world.clients.connections.revokeConnection({ connectionId: grace });
    await page.locator(`#c-${grace}.changed`).waitFor(stays);
    expect(await rowOf(page, grace).getByRole("checkbox").isChecked()).toBe(true);
    expect(await page.evaluate("window.kept === document.activeElement")).toBe(true);
  });

  it("has new ones in their place, trouble first, and sorts by the head that is chosen", async () => {
    const providerId = await world.register("acme");
    for (let index = 0; index < 27; index++) await requested(providerId, `user-${index}`);
    const active = await world.connect(providerId, "zoe");
    const page = await opened("/connections");
    const rows = page.locator("table.connections tbody tr");
    expect([await rows.count(), await rows.first().getAttribute("id")]).toEqual([25, `c-${active}`]);
    const made = await requested(providerId, "aaron");
    await rowOf(page, made).waitFor(stays);
    expect([await rows.count(), await rows.nth(1).getAttribute("id")]).toEqual([25, `c-${made}`]);
    await page.getByRole("link", { name: "User", exact: true }).click();
    await expect.poll(() => rows.first().getAttribute("id")).toBe(`c-${made}`);
    expect(await page.locator('th[aria-sort="ascending"]').textContent()).toBe("User");
    await page.getByRole("link", { name: "User", exact: true }).click();
    await expect.poll(() => rows.first().getAttribute("id")).toBe(`c-${active}`);
    await page.getByRole("link", { name: "Next page" }).click();
    await expect.poll(() => rows.count()).toBe(4);
    expect(new URL(page.url()).searchParams.get("sort")).toBe("-user");
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
