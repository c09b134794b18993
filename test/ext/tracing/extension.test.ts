import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { tracing } from "../../../src/ext/tracing/extension.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";

/** What is logged, and whether traces are opened. */
async function opened(settings: Record<string, string>) {
  const environment = { NEXUS_DATA_DIR: "/data", ...settings };
  const config = loadConfig(environment, {}, { isTTY: false }, [tracing]);
  const warnings: unknown[] = [];
  const log = { ...silentLog, warn: (fields: object) => void warnings.push(fields) };
  const traces = await tracing.openTracing?.(config, { environment, clock: new ManualClock(0), log });
  await traces?.close();
  return { isOpen: traces !== undefined, warnings };
}

const asked = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

it("opens nothing in a daemon without its settings", async () => {
  expect(await opened(asked)).toEqual({ isOpen: false, warnings: [] });
});

it("tells that traces go by another protocol than is asked for", async () => {
  expect(await opened({ ...asked, ...endpoint })).toEqual({
    isOpen: true,
    warnings: [
      {
        warning: expect.stringMatching(
          /OTEL_EXPORTER_OTLP_PROTOCOL.*http\/protobuf.*http:\/\/collector:4318/,
        ),
      },
    ],
  });
  const right = { ...asked, ...endpoint, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/protobuf" };
  expect(await opened(right)).toEqual({ isOpen: true, warnings: [] });
});
