import { readVersion } from "../../config/config.js";
import type { Extension } from "../../core/registry.js";
import { tracingSettings } from "./tracing_settings.js";

/** Traces, sent to an OTLP receiver. The libraries take a while to load and some memory, and most daemons are not traced. */
export const tracing: Extension = {
  name: "tracing",
  settings: tracingSettings,
  openTracing: async (config, { environment, clock, log }) => {
    const receiver = tracingSettings.of(config);
    if (receiver === undefined) return undefined;
    const { openOtlpTracing } = await import("./otlp_tracing.js");
    const warning = protocolWarning(environment, receiver);
    if (warning !== undefined) log.warn({ warning }, "check the settings");
    return openOtlpTracing(receiver, { version: readVersion(), clock, log });
  },
};

/** Platforms set this variable for every pod: no reason not to start. */
function protocolWarning(env: NodeJS.ProcessEnv, receiver: string): string | undefined {
  const name = env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"]
    ? "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
    : "OTEL_EXPORTER_OTLP_PROTOCOL";
  if ((env[name] || "http/protobuf") === "http/protobuf") return undefined;
  return `${name} is not http/protobuf, which nexusd uses anyway for traces, to ${receiver}`;
}
