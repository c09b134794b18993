import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import type { Core } from "../../../src/daemon/extension.js";
import { alerts } from "../../../src/ext/alerts/extension.js";

it("opens nothing in a daemon without its settings", async () => {
  const config = loadConfig({ NEXUS_DATA_DIR: "/data" }, {}, { isTTY: false });
  expect(await alerts.open?.({ options: { config } } as Core)).toBeUndefined();
});
