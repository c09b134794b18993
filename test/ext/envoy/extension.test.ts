import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import type { Core } from "../../../src/core/core.js";
import { Registry } from "../../../src/core/registry.js";
import { envoy } from "../../../src/ext/envoy/extension.js";

it("opens nothing in a daemon without its settings", async () => {
  const config = loadConfig({ NEXUS_DATA_DIR: "/data" }, {}, { isTTY: false }, [envoy]);
  const registry = new Registry();
  await envoy.open?.({ config } as Core, registry);
  expect(registry.added).toEqual(new Registry().added);
});
