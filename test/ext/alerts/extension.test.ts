import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import type { Core } from "../../../src/core/core.js";
import { Registry } from "../../../src/core/registry.js";
import { alerts } from "../../../src/ext/alerts/extension.js";
import { notifySettings } from "../../../src/ext/alerts/notify_settings.js";
import { Metrics } from "../../../src/telemetry/metrics.js";

it("opens nothing in a daemon without its settings", async () => {
  const config = loadConfig({ NEXUS_DATA_DIR: "/data" }, {}, { isTTY: false }, [alerts]);
  expect(notifySettings.of(config)).toEqual({
    ...{ webhook: undefined, command: undefined, file: undefined },
    ...{ beforeEndMs: 7 * 86_400_000, links: true },
  });
  const registry = new Registry();
  await alerts.open?.({ config, metrics: new Metrics({ version: "1" }) } as Core, registry);
  expect(registry.added).toEqual(new Registry().added);
});
