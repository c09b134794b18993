export type { AcquireOptions, OnConsent, ShownConsent } from "./acquire.js";
export type { NexusOptions } from "./daemon_address.js";
export {
  AttentionRequired,
  type Consent,
  ConsentDenied,
  ConsentRequired,
  DeadlineExceeded,
  InvalidArgument,
  NexusError,
  NotFound,
  PermissionDenied,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
export type { Fetch } from "./fetch.js";
export { type Lease, Nexus, type TokenOptions } from "./nexus.js";
export { StrategyError } from "./strategies/apply_strategy.js";
export type { Limits } from "./time_limit.js";
export { Token } from "./token.js";
