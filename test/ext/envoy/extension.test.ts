import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import type { Core } from "../../../src/daemon/extension.js";
import { envoy } from "../../../src/ext/envoy/extension.js";

it("opens nothing in a daemon without its settings", async () => {
  const config = loadConfig({ NEXUS_DATA_DIR: "/data" }, {}, { isTTY: false }, [envoy]);
  expect(await envoy.open?.({ options: { config } } as Core)).toBeUndefined();
});
