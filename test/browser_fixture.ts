import type { Browser, BrowserContext, BrowserContextOptions } from "playwright-core";
import { afterAll, beforeAll, beforeEach, onTestFinished } from "vitest";
import { launchChromium } from "./launch_chromium.js";
import { has, needs } from "./needs.js";

/** A Chromium for the tests of a file or of a `describe`; what a test opens in it is closed after the test. */
export function browser() {
  let launched: Browser | undefined;
  beforeAll(async () => {
    if (has("chromium")) launched = await launchChromium();
  }, 180_000);
  afterAll(() => launched?.close());
  beforeEach((context) => needs(context, "chromium"));
  return {
    async newContext(options: BrowserContextOptions = {}): Promise<BrowserContext> {
      if (!launched) throw new Error("Chromium runs while tests run, not before");
      const context = await launched.newContext(options);
      onTestFinished(() => context.close());
      return context;
    },
  };
}
