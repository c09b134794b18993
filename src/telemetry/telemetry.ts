/** The door of `telemetry`: metrics and the log. */

export { createLogger } from "./logger.js";
export { LabelValues, Metrics } from "./metrics.js";
