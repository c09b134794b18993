import { join } from "node:path";
import axe from "axe-core";
import type { Browser, Page } from "playwright-core";

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** How every page is looked at. */
export const looks = {
  "desktop-light": { viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  "desktop-dark": { viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 844 }, colorScheme: "light" },
  "phone-dark": { viewport: { width: 390, height: 844 }, colorScheme: "dark" },
} as const satisfies Readonly<Record<string, Parameters<Browser["newContext"]>[0]>>;

/** Those, and the width between them. */
export const everyLook = {
  ...looks,
  "tablet-light": { viewport: { width: 768, height: 1024 }, colorScheme: "light" },
  "tablet-dark": { viewport: { width: 768, height: 1024 }, colorScheme: "dark" },
} as const;

/** What axe finds wrong with a page, and whether something is wider than the screen. */
export async function faultsOf(page: Page): Promise<string[]> {
  // Not as a script of the page, which its CSP would refuse.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ violations: Violation[] }>("axe.run(document)");
  const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
  return [
    ...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`),
    ...(overflow > 0 ? [`wider than the screen by ${overflow} px`] : []),
  ];
}

/** Where pictures of judged pages are put; none are made when it is unset. */
const shots = process.env["NEXUS_TEST_SHOTS"];

/** What `faultsOf` finds in each look, by look. @param leads opens the page that is judged, named `word` in pictures */
export async function faultsOfLooks(
  chromium: Pick<Browser, "newContext">,
  word: string,
  leads: (page: Page) => Promise<unknown>,
): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const [look, options] of Object.entries(everyLook)) {
    const context = await chromium.newContext(options);
    const page = await context.newPage();
    await leads(page);
    const faults = await faultsOf(page);
    if (faults.length > 0) found[look] = faults;
    if (shots) await page.screenshot({ path: join(shots, `${word}-${look}.png`), fullPage: true });
    await context.close();
  }
  return found;
}
