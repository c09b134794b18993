/** The door of `model/connections`: a connection, its name, and its binding to a grant, as plain values. */

export { type Connection, type ConnectionStatus, isLive } from "./connection.js";
export {
  type ConnectionName,
  type NameParts,
  namePath,
  parseNamePath,
  type UserAccount,
} from "./connection_name.js";
export type { DaemonState, DaemonStatus, FailingReason } from "./daemon_status.js";
export { grantBinding } from "./grant_binding.js";
export { newConnection } from "./new_connection.js";
export type { RefreshOutcome } from "./refresh_outcome.js";
export type { SpooledTokenSet, SpoolOutcome } from "./spooled_token_set.js";
