import type { SettingReader } from "./setting_reader.js";

/** Where traces go. Present only when they are asked for; the libraries read the rest of the `OTEL_*` variables themselves. */
export interface TracingConfig {
  /** Scheme, host and port of the receiver, for people. */
  readonly receiver: string;
}

const samplers = ["always_on", "always_off", "traceidratio"].flatMap((name) => [name, `parentbased_${name}`]);

/** By the standard variables of OpenTelemetry; without an endpoint none of them is judged. Errors are noted in `reader`. */
export function readTracing(reader: SettingReader): TracingConfig | undefined {
  if (reader.get("OTEL_SDK_DISABLED").toLowerCase() === "true") return undefined;
  const name = reader.isSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    ? "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    : "OTEL_EXPORTER_OTLP_ENDPOINT";
  const text = reader.get(name);
  if (text === undefined || reader.get("OTEL_TRACES_EXPORTER") === "none") return undefined;
  const sampler = reader.get("OTEL_TRACES_SAMPLER");
  if (!samplers.includes(sampler)) {
    reader.refuse("OTEL_TRACES_SAMPLER", `must be one of ${samplers.join(", ")}`, sampler);
  }
  const ratio = reader.get("OTEL_TRACES_SAMPLER_ARG");
  if (sampler.endsWith("traceidratio") && !/^(0|1|[01]?\.\d{1,18})$/.test(ratio)) {
    reader.refuse("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1", ratio);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return Object.freeze({ receiver: url.origin });
  // What stands before an @ may be a password.
  reader.refuse(name, "must be a URL with http or https");
  return undefined;
}
