import type { Browser } from "playwright-core";
import type { Person, RunningServer } from "./foreign_server.js";

/** Consents take turns on a laden machine. */
const timeout = 60_000;

/**
 * Opens the link, signs in at the server and grants what is asked, in a browser that knows nothing yet.
 *
 * @throws Error with what the page says, when the sidecar does not say that it is connected
 */
export async function grant(
  browser: Browser,
  authUrl: string,
  server: RunningServer,
  person: Person,
): Promise<void> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  try {
    await page.goto(authUrl);
    await server.consent(page, person);
    await page.waitForURL((url) => url.port === new URL(authUrl).port);
    const heading = await page.getByRole("heading", { level: 1 }).first().textContent();
    if (heading !== "Connected") throw new Error(`the page says: ${await page.textContent("body")}`);
  } catch (error) {
    const words = (await page.textContent("body").catch(() => "")) ?? "";
    const place = page.url().split("?")[0];
    throw new Error(`${(error as Error).message}\nat ${place}: ${words.slice(0, 500)}`);
  } finally {
    await context.close();
  }
}
