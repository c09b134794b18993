import { beforeAll, describe, expect, it } from "vitest";
import { browser } from "../browser_fixture.js";
import { perSuite } from "../lifetimes.js";
import { faultsOf, looks } from "../page_faults.js";
import { consentVisits, consentWorld, type Visits } from "./consent_pages.js";

describe("the pages of a consent", () => {
  const chromium = browser();
  const world = perSuite(consentWorld);
  let visits: Visits;
  beforeAll(async () => {
    visits = await consentVisits(world);
  });

  it.each(Object.entries(looks))(
    "are well formed for everybody: %s",
    async (_look, options) => {
      const context = await chromium.newContext(options);
      const page = await context.newPage();
      for (const [word, visit] of Object.entries(visits)) {
        await visit(page);
        expect([word, await faultsOf(page)]).toEqual([word, []]);
        expect([word, await page.title()]).not.toEqual([word, "owned"]);
      }
    },
    150_000,
  );
});
