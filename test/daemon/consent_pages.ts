import type { Page } from "playwright-core";
import { newId } from "../../src/model/ids.js";
import { Place, World } from "./harness.js";
import { requestOf } from "./requests.js";

export type Visits = Readonly<Record<string, (page: Page) => Promise<void>>>;

const hostile = `<img src=x onerror="document.title='owned'">`;

/** A daemon with a provider that a person consents at and one whose key is entered. */
export async function consentWorld(): Promise<World> {
  return World.make({}, await Place.make({ NEXUS_ALLOWED_RETURN_URLS: "https://app.example" }));
}

/** Every page on the way of a consent, by a word for it, as a person comes to it; to be visited in this order. */
export async function consentVisits(world: World): Promise<Visits> {
  const { provider } = await world.clients.providers.createProvider({ template: "openai", provider: {} });
  const ids = { openai: provider?.id ?? "", op: await world.register() };
  return {
    home: async (page) => void (await page.goto(world.place.config.publicUrl)),
    "not-found": async (page) => void (await page.goto(`${world.place.config.publicUrl}/nothing`)),
    "key-form": async (page) => {
      const request = { ...requestOf(ids.openai), returnUrl: "https://app.example/back" };
      const { authUrl } = await world.clients.connections.requestConnection(request);
      await page.goto(authUrl);
      await page.getByRole("heading", { name: "Connect OpenAI", exact: true }).waitFor();
      await page.locator('a[href^="https://"]', { hasText: "Where do I find this at OpenAI?" }).waitFor();
      await page.getByText("You go back to app.example afterwards.").waitFor();
    },
    "key-form-error": async (page) => {
      const { authUrl } = await world.clients.connections.requestConnection(requestOf(ids.openai));
      await page.goto(authUrl);
      await page.getByRole("button", { name: "Connect" }).click();
      await page.getByRole("alert").waitFor();
    },
    "provider-login": async (page) => {
      const { authUrl } = await world.clients.connections.requestConnection(requestOf(ids.op));
      await page.goto(authUrl);
      await page.fill("[name=login]", hostile);
      await page.click("#continue");
      await page.getByRole("alert").waitFor();
    },
    "provider-question": async (page) => {
      await page.fill("[name=login]", "ada");
      await page.click("#continue");
      await page.getByText("Know who you are").waitFor();
    },
    done: async (page) => {
      await page.click("#allow");
      await page.locator("dd", { hasText: /^ada/ }).first().waitFor();
    },
    refused: async (page) => {
      await page.goBack();
      await page.goto(
        `${world.place.config.publicUrl}/auth/callback/op?state=x&error=${encodeURIComponent(hostile)}`,
      );
      await page.getByRole("heading", { level: 1 }).waitFor();
    },
    "more-access": async (page) => {
      const userId = `user-${newId()}`;
      const connectionId = await world.connect(ids.op, userId);
      const wwwAuthenticate = `Bearer error="insufficient_scope", scope="read <script>document.title='owned'</script>"`;
      const token = { connectionId, revision: 1n, status: 403, wwwAuthenticate };
      const { consent } = await world.clients.tokens.reportRejectedToken(token);
      await page.goto(consent?.authUrl ?? "no link");
      await page.getByRole("heading", { name: "Allow more access?" }).waitFor();
    },
    "no-more-access": async (page) => {
      await page.getByRole("button", { name: "No, continue without" }).click();
      await page.getByRole("heading", { name: "Nothing was changed" }).waitFor();
    },
    status: async (page) => void (await page.goto(`${world.place.opsUrl}/status?refresh=off`)),
  };
}
