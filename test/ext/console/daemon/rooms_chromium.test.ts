import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { browser } from "../../../browser_fixture.js";
import { TestDaemon } from "../../../daemon/harness.js";
import { requestOf } from "../../../daemon/requests.js";
import { type OpenIdProvider, startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { perSuite } from "../../../lifetimes.js";
import { faultsOf, looks } from "../../../page_faults.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { signedIn } from "./pages.js";

/** A provider of one's own in the catalogue: an address in it is a variable. */
const ownCatalogue = (provider: OpenIdProvider): string => `
providers:
  - name: acme-id
    display_name: Acme Identity
    category: test
    auth_type: oauth2
    issuer: ${provider.issuer}
    enable_discovery: true
    scopes: [openid, email]
    api_base_url: https://{tenant}.acme.example/api
    variables:
      tenant: { description: Your part of the host name, example: north }
    docs_url: https://acme.example/docs
    notes: ["Acme wants <b>https</b> everywhere."]
`;

describe("a person in the rooms of the console", () => {
  const chromium = browser();
  const provider = perSuite(() => startOpenIdProvider({ redirectUris: [] }));
  const daemon = perSuite(() => {
    const file = join(temporaryFolder(), "own.yaml");
    writeFileSync(file, ownCatalogue(provider));
    return TestDaemon.start({ NEXUS_CATALOG_FILE: file });
  });

  const open = async (path: string): Promise<{ page: Page; troubles: string[] }> => {
    const context = await chromium.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
    const page = await signedIn(context, daemon.clients);
    const troubles: string[] = [];
    page.on("console", (message) => troubles.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => troubles.push(`uncaught: ${error.message}`));
    await page.goto(new URL(path, page.url()).href);
    return { page, troubles };
  };

  it("adds a provider from the catalogue, found as one types, and connects", async () => {
    const { page, troubles } = await open("/providers");
    await page.getByRole("link", { name: "Add provider" }).click();
    await page.getByRole("searchbox").pressSequentially("acme id");
    await page.getByText("1 template", { exact: true }).waitFor();
    expect(new URL(page.url()).searchParams.get("search")).toBe("acme id");
    await page.getByRole("link", { name: /Acme Identity/ }).click();
    await page.getByRole("heading", { name: "Add Acme Identity" }).waitFor();
    expect(await page.getByText("Acme wants <b>https</b> everywhere.").count()).toBe(1);

    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    const redirectUri = await page.evaluate<string>("navigator.clipboard.readText()");
    expect(redirectUri).toBe(await page.getByLabel("Redirect URI").inputValue());
    provider.addRedirectUri(redirectUri);

    await page.getByLabel("Client id").fill(provider.clients.post.clientId);
    await page.getByLabel("Client secret").fill(provider.clients.post.clientSecret);
    await page.getByLabel("tenant").fill("no host!");
    await page.getByRole("button", { name: "Add Acme Identity" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByLabel("tenant").getAttribute("aria-invalid")).toBe("true");
    expect(await page.getByLabel("Client secret").inputValue()).toBe("");
    expect(troubles.splice(0)).toEqual([expect.stringContaining("status of 400")]);
    await page.getByLabel("tenant").fill("north");
    await page.getByLabel("Client secret").fill(provider.clients.post.clientSecret);
    await page.getByRole("button", { name: "Add Acme Identity" }).click();
    await page.getByText("The provider was added.").waitFor();
    expect(await page.getByLabel("Redirect URI").inputValue()).toBe(redirectUri);
    expect(await page.locator("main").textContent()).toContain("https://north.acme.example/api");
    expect(await page.content()).not.toContain(provider.clients.post.clientSecret);

    await page.getByRole("link", { name: "Connect now" }).click();
    await page.getByLabel("User").fill("ada");
    await page.getByRole("button", { name: "Ask for consent" }).click();
    const [tab] = await Promise.all([page.waitForEvent("popup"), page.getByText("Open the link").click()]);
    await tab.click("#continue");
    await tab.click("#allow");
    await tab.getByText("Your account at Acme Identity is connected.").waitFor();
    const { connections } = await daemon.clients.connections.listConnections({});
    const { token } = await daemon.clients.tokens.getToken({ connectionId: connections[0]?.id ?? "" });
    const headers = { authorization: `Bearer ${token?.credentials["access_token"]}` };
    expect((await fetch(provider.userinfoEndpoint, { headers })).status).toBe(200);
    expect(troubles).toEqual([]);
  });

  it("makes an API key that is shown once, copies it, and revokes it", async () => {
    const { page, troubles } = await open("/agents");
    await page.getByRole("link", { name: "New key" }).click();
    await page.getByLabel("Name").fill("reader");
    await page.getByLabel("Users").fill("ada");
    await page.getByRole("button", { name: "Create the key" }).click();
    const shown = await page.getByLabel("Key of reader").inputValue();
    await page.getByRole("button", { name: "Copy" }).click();
    expect(await page.evaluate<string>("navigator.clipboard.readText()")).toBe(shown);
    expect(page.url()).not.toContain("nxk_");
    const ask = () =>
      fetch(`${daemon.place.httpUrl}/nexus.v1.AccessService/WhoAmI`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-api-key": shown },
        body: "{}",
      });
    expect(await (await ask()).json()).toMatchObject({ principal: "key:reader" });

    await page.getByRole("link", { name: "I have stored it" }).click();
    await expect.poll(() => page.content()).not.toContain(shown);
    await page.getByRole("button", { name: "Revoke reader" }).click();
    await page.getByRole("button", { name: "Revoke the key" }).click();
    await page.getByText("The API key was revoked.").waitFor();
    expect((await ask()).status).toBe(401);
    await page.goBack();
    expect(await page.content()).not.toContain(shown);
    expect(troubles).toEqual([]);
  });

  it("sees events and streams as they come, and keeps what is in use", async () => {
    const kind = { authType: AuthType.API_KEY };
    await daemon.clients.providers.createProvider({ provider: { ...kind, name: "there-already" } });
    const { page } = await open("/activity?type=provider.created");
    await page.getByText("Live", { exact: true }).waitFor();
    const rows = page.locator("#events tbody tr");
    const before = await rows.count();
    const made = { ...kind, name: "live-one" };
    const { provider: created } = await daemon.clients.providers.createProvider({ provider: made });
    await page.locator("tr.changed").waitFor({ timeout: 30_000 });
    expect(await rows.count()).toBe(before + 1);
    expect(await rows.first().textContent()).toContain(created?.name);
    await daemon.clients.connections.requestConnection(requestOf(created?.id ?? ""));

    const { connections } = await daemon.clients.connections.listConnections({
      status: ConnectionStatus.ACTIVE,
    });
    await daemon.clients.tokens.refreshToken({ connectionId: connections[0]?.id ?? "" });
    await page.goto(new URL("/overview", page.url()).href);
    await page.locator("#by-hour summary").click();
    const stop = new AbortController();
    const stream = daemon.clients.tokens.watchTokens({}, { signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    // The part that holds the focus stays as it is.
    await page.locator("h1").click();
    await page.evaluate("document.activeElement.blur()");
    await page.getByText("1 open stream").waitFor({ timeout: 30_000 });
    expect(await page.locator("#by-hour").getAttribute("open")).not.toBeNull();
    stop.abort();
    await stream.next().catch(() => undefined);
    await page.getByText("0 open streams").waitFor({ timeout: 30_000 });
  });

  it("stays in the colors that were chosen, whatever those of the system", async () => {
    const { page } = await open("/overview");
    const ground = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    expect(await ground()).toBe("rgb(246, 247, 249)");
    await page.getByLabel("Theme").selectOption("Dark");
    expect(await ground()).toBe("rgb(16, 18, 23)");
    await page.goto(new URL("/connections", page.url()).href);
    expect([await ground(), await page.getByLabel("Theme").inputValue()]).toEqual([
      "rgb(16, 18, 23)",
      "dark",
    ]);
    expect(await faultsOf(page)).toEqual([]);
    await page.getByLabel("Theme").selectOption("System");
    expect(await ground()).toBe("rgb(246, 247, 249)");
  });

  it("sorts the list on a phone", async () => {
    const context = await chromium.newContext(looks["phone-light"]);
    const page = await signedIn(context, daemon.clients);
    await page.goto(new URL("/connections", page.url()).href);
    await page.locator("table.connections thead").getByRole("link", { name: "User" }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get("sort")).toBe("user");
  });

  it("does the same without scripts", async () => {
    const context = await chromium.newContext({ javaScriptEnabled: false });
    const page = await signedIn(context, daemon.clients);
    await page.goto(new URL("/providers/add", page.url()).href);
    await page.getByRole("searchbox").fill("keycloak");
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("link", { name: /Keycloak/ }).click();
    await page.getByRole("heading", { name: /Keycloak/ }).waitFor();
    expect(await page.getByRole("button", { name: "Copy" }).count()).toBe(0);
    await page.goto(new URL("/activity", page.url()).href);
    await page.getByRole("link", { name: "Changes" }).click();
    await page.getByText("API key created").first().waitFor();
    await page.getByLabel("Agent", { exact: true }).fill("nobody");
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByText("Nothing matches.").waitFor();
  });
});
