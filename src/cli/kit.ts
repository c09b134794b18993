/** The kit of commands: what a command of an extension is built from. */

export { roleName } from "./admin/keys.js";
export { endOf, keepLease, leaseHelp, leaseText, lifeText, usesHelp, usesText } from "./admin/lease.js";
export { connectionArgument, foundConnection, withKey } from "./connections/connection_key.js";
export { readTokenStream } from "./connections/token_stream.js";
export { otherUsers } from "./connections/users_of_key.js";
export { forwardingCommand, isLocalUrl, isOverSsh } from "./consent/remote_machine.js";
export {
  apiBaseUrlOf,
  apiUrl,
  checkHeaders,
  type DataFlags,
  parseMethod,
  readBody,
} from "./credentials/api_arguments.js";
export { credentialRpcs, exchangeFailure } from "./credentials/credential_rpcs.js";
export {
  credentialArgument,
  credentialValue,
  parseCredentialName,
  providerOf,
  readCredential,
} from "./credentials/read_credential.js";
export {
  allProviders,
  ambiguousId,
  findProvider,
  isNotFound,
  listTemplates,
  providerArgument,
  providerHint,
} from "./providers/provider_key.js";
export { printWarnings } from "./providers/provider_words.js";
export { callFailure, withStep } from "./shell/call_failure.js";
export { callTimeoutMs, connectDaemon, type DaemonClient } from "./shell/client.js";
export { CommandFailure, usageFailure } from "./shell/command_failure.js";
export { confirm } from "./shell/confirm.js";
export {
  addAddressFlags,
  addDaemonFlags,
  type ConfirmedFlags,
  clientConfigOf,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
  sessionOf,
  withDaemon,
} from "./shell/daemon_command.js";
export { NewSecretFile, readText, usable, whyNot } from "./shell/files.js";
export { addNotes } from "./shell/help.js";
export { type ApiAnswer, sendToApi } from "./shell/http_request.js";
export {
  collect,
  collectPair,
  durationMsOf,
  parseDurationMs,
  parseSince,
  parseTimeMs,
  parseUses,
} from "./shell/option_values.js";
export { SettingOptions } from "./shell/setting_options.js";
export type { FormatContext, ReadCredential, Shell, TokenFormat } from "./shell/shell.js";
export {
  formatAge,
  formatExpiry,
  formatFields,
  formatStatus,
  formatTable,
  formatTime,
  jsonLine,
  printable,
  shellWord,
  shortId,
} from "./shell/text.js";
export { withProgress } from "./terminal/progress.js";
export { type Screen, screenOf } from "./terminal/screen.js";
