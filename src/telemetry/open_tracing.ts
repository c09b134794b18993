import { noTracing, type Tracing } from "../model/tracing.js";
import { atMostEachMinute } from "../runtime/at_most_each_minute.js";
import { type Clock, delay } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";

/** What the receiver gets at the end, beside the 4 s of the drain. */
const flushMs = 500;

/** Traces as the settings say; their opener closes them. */
export interface OpenTracing {
  readonly tracing: Tracing;
  /** For lines of the log that are written inside a span. */
  logFields(): object;
  /** Sends what is left, if that can be done within half a second. */
  close(): Promise<void>;
}

/** The libraries take a while to load and some memory, and most daemons are not traced. */
export async function openTracing(
  config: { readonly receiver: string } | undefined,
  { version, clock, log }: { readonly version: string; readonly clock: Clock; readonly log: Log },
): Promise<OpenTracing> {
  if (!config) return { tracing: noTracing, logFields: () => ({}), close: async () => undefined };
  const { OtlpTracing } = await import("./otlp_tracing.js");
  const { receiver } = config;
  const report = atMostEachMinute(clock, (reason) => {
    log.warn({ receiver, reason }, "traces were not taken by their receiver: they are lost");
  });
  const tracing = new OtlpTracing({
    version,
    onExportFailed: (error) => report(reasonOf(error)),
  });
  log.info({ receiver }, "traces go to this receiver");
  return {
    tracing,
    logFields: () => tracing.logFields(),
    close: () => Promise.race([tracing.close().catch(() => undefined), delay(clock, flushMs)]),
  };
}

/** A word or a status; the text of such errors may hold what the receiver answered. */
function reasonOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause) {
    const code = (each as { readonly code?: unknown }).code;
    if (typeof code === "number" || (typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code)))
      return `${code}`;
  }
  return error instanceof Error ? error.name : "unknown";
}
