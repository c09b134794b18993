/** The door of `model`: errors, JSON, and the small values that everything else is written in. */

export {
  Aborted,
  AlreadyExists,
  DataLoss,
  FailedPrecondition,
  type FieldViolation,
  InvalidArgument,
  isRuleRefusal,
  NexusError,
  NotFound,
  NotLeader,
  PermissionDenied,
  ResourceExhausted,
  StoreFailed,
  Unauthenticated,
  Unavailable,
  type WaitedFor,
} from "./errors.js";
export { headerNameViolation } from "./header_name.js";
export { isId, newId, newToken } from "./ids.js";
export type { JsonObject, JsonValue } from "./json.js";
export { isJsonObject, isTextMap, parseDurationText } from "./json_fields.js";
export { parseJsonObject } from "./json_object.js";
export { defaultLimits, type Limits } from "./limits.js";
export {
  formatListenAddress,
  isLocalAddress,
  type ListenAddress,
  parseListenAddress,
} from "./listen_address.js";
export { type ProblemReason, problemMessages } from "./problem_reason.js";
export { counted, formatBytes, formatCount, formatDuration } from "./quantity_text.js";
export { didYouMean, suggestions } from "./suggestions.js";
export { searchTemplates } from "./template_search.js";
export {
  type CallerTrace,
  type Span,
  type SpanAttributes,
  type SpanStart,
  type Tracing,
  traceIdOf,
  type Use,
} from "./tracing.js";
