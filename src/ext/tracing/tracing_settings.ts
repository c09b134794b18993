import { ExtensionSettings, type SettingGroups, text } from "../../config/config.js";

const groups = {
  Traces: {
    OTEL_EXPORTER_OTLP_ENDPOINT: {
      kind: { ...text("url"), isHidden: true },
      flag: false,
      meaning:
        "OTLP receiver for traces, HTTP with protobuf: http://host:4318. nexusd appends /v1/traces. Without an endpoint, there are no traces.",
    },
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
      kind: { ...text("url"), isHidden: true },
      flag: false,
      meaning: "The receiver's full URL; nexusd appends nothing.",
    },
    OTEL_TRACES_EXPORTER: {
      kind: text("word"),
      flag: false,
      default: "otlp",
      meaning: "none turns off traces.",
    },
    OTEL_SDK_DISABLED: {
      kind: text("word"),
      flag: false,
      default: "false",
      meaning: "true turns off traces.",
    },
    OTEL_TRACES_SAMPLER: {
      kind: text("word"),
      flag: false,
      default: "parentbased_always_on",
      meaning: "Traces to keep: always_on, always_off, or traceidratio, optionally prefixed parentbased_.",
    },
    OTEL_TRACES_SAMPLER_ARG: {
      kind: text("ratio"),
      flag: false,
      default: "1",
      meaning: "For traceidratio: fraction to keep, 0 to 1.",
    },
  },
} as const satisfies SettingGroups;

const samplers = ["always_on", "always_off", "traceidratio"].flatMap((name) => [name, `parentbased_${name}`]);

/**
 * The scheme, host and port of the receiver, for people; undefined where no traces are requested. Without an endpoint none of the standard
 * variables of OpenTelemetry is judged, and the libraries read the rest of them themselves.
 */
export const tracingSettings = new ExtensionSettings(groups, (reader) => {
  const get = reader.of<typeof groups>();
  if (get("OTEL_SDK_DISABLED").toLowerCase() === "true") return undefined;
  const name = reader.isSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ? "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    : "OTEL_EXPORTER_OTLP_ENDPOINT";
  const text = get(name);
  if (text === undefined || get("OTEL_TRACES_EXPORTER") === "none") return undefined;
  const sampler = get("OTEL_TRACES_SAMPLER");
  if (!samplers.includes(sampler)) {
    reader.refuse("OTEL_TRACES_SAMPLER", `must be one of ${samplers.join(", ")}`, sampler);
  }
  const ratio = get("OTEL_TRACES_SAMPLER_ARG");
  if (sampler.endsWith("traceidratio") && !/^(0|1|[01]?\.\d{1,18})$/.test(ratio)) {
    reader.refuse("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1", ratio);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.origin;
  // What stands before an @ may be a password.
  reader.refuse(name, "must be a URL with http or https");
  return undefined;
});
