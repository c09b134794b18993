import type { Browser, BrowserContext, Page } from "playwright-core";
import type { Clients } from "../harness.js";

/** Every page of the console, by a word for it. @param connectionId of the pages about one */
export function consolePaths(connectionId: string): Readonly<Record<string, string>> {
  return {
    connections: "/connections",
    "connections-attention": "/connections?state=attention",
    "connections-none": "/connections?search=nobody-has-this",
    connect: "/connections/new",
    connection: `/connections/${connectionId}`,
    revoke: `/connections/${connectionId}/revoke`,
  };
}

/** Signs a browser in. @returns the page that the link led to */
export async function signedIn(
  context: Pick<BrowserContext, "newPage">,
  { console }: Pick<Clients, "console">,
): Promise<Page> {
  const page = await context.newPage();
  const { url } = await console.createConsoleLink({});
  await page.goto(url);
  return page;
}

/** How every page is looked at. */
export const looks = {
  "desktop-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "desktop-dark": { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 844 }, colorScheme: "light" },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark" },
} as const satisfies Readonly<Record<string, Parameters<Browser["newContext"]>[0]>>;
