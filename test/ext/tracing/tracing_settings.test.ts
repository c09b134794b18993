import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { tracing } from "../../../src/ext/tracing/extension.js";
import { tracingSettings } from "../../../src/ext/tracing/tracing_settings.js";

const tracingOf = (env: NodeJS.ProcessEnv) =>
  tracingSettings.of(loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [tracing]));

const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector:4318/base?key=secret" };

describe("the settings of traces", () => {
  it("ask for none without an endpoint, and name the receiver by its origin alone", () => {
    expect(tracingOf({ OTEL_SERVICE_NAME: "x", OTEL_TRACES_SAMPLER: "nonsense" })).toBeUndefined();
    expect(tracingOf(endpoint)).toBe("https://collector:4318");
    const own = { ...endpoint, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces/v1" };
    expect(tracingOf(own)).toBe("http://traces");
  });

  it.each([{ OTEL_SDK_DISABLED: "TRUE" }, { OTEL_TRACES_EXPORTER: "none" }])("are off with %o", (off) => {
    expect(tracingOf({ ...endpoint, ...off })).toBeUndefined();
  });

  it.each([
    ["always_off", undefined],
    ["traceidratio", "0.25"],
    ["parentbased_traceidratio", "1"],
  ])("take the sampler %s %s", (sampler, ratio) => {
    const env = { ...endpoint, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratio };
    expect(tracingOf(env)).toBeDefined();
  });

  it.each([
    [{ OTEL_TRACES_SAMPLER: "sometimes" }, /OTEL_TRACES_SAMPLER: got "sometimes": must be one of always_on/],
    [
      { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "50%" },
      /OTEL_TRACES_SAMPLER_ARG: got "50%": must be a number from 0 to 1/,
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
      /OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL with http/,
    ],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "u:pw@host" }, /^(?!.*pw).*OTEL_EXPORTER_OTLP_TRACES_ENDPOINT/s],
  ])("do not take %o", (env, violation) => {
    expect(() => tracingOf({ ...endpoint, ...env })).toThrow(violation);
  });
});
