import type { SettingReader } from "./setting_reader.js";

/** Where traces go. Present only when they are asked for; the libraries read the rest of the `OTEL_*` variables themselves. */
export interface TracingConfig {
  /** Scheme, host and port of the receiver, for people. */
  readonly receiver: string;
}

const samplers = ["always_on", "always_off", "traceidratio"].flatMap((name) => [name, `parentbased_${name}`]);

/** By the standard variables of OpenTelemetry. Errors are noted in `reader`. */
export function readTracing(reader: SettingReader): TracingConfig | undefined {
  if (reader.read("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return undefined;
  const name =
    reader.read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") === undefined
      ? "OTEL_EXPORTER_OTLP_ENDPOINT"
      : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
  const text = reader.read(name);
  if (text === undefined || reader.read("OTEL_TRACES_EXPORTER") === "none") return undefined;
  const sampler = reader.read("OTEL_TRACES_SAMPLER");
  if (sampler !== undefined && !samplers.includes(sampler)) {
    reader.violation("OTEL_TRACES_SAMPLER", sampler, `must be one of ${samplers.join(", ")}`);
  }
  const ratio = reader.read("OTEL_TRACES_SAMPLER_ARG");
  if (sampler?.endsWith("traceidratio") && ratio !== undefined && !/^(0|1|[01]?\.\d{1,18})$/.test(ratio)) {
    reader.violation("OTEL_TRACES_SAMPLER_ARG", ratio, "must be a number from 0 to 1");
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    // What stands before an @ may be a password.
    reader.violationOfSecret(name, "must be a URL with http or https");
    return undefined;
  }
  return Object.freeze({ receiver: url.origin });
}
