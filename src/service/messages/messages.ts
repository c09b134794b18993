/** The door of `service/messages`: what stands in a message, as the model has it. */

export {
  restrictionMessage,
  roleMessage,
  ruleMatchMessage,
  sessionLabels,
  useLimitMessage,
  useLimitOf,
} from "./access_message.js";
export { connectionStatusOf } from "./connection_message.js";
export {
  AcquiredCredentials,
  ContractCredentials,
  type CredentialRpcs,
  type RpcOptions,
  UnjudgedMessages,
} from "./contract_credentials.js";
export { versionOfEtag } from "./provider_message.js";
export { describedRequestOf, type RequestDescription, requestDescription } from "./request_description.js";
export { present, timestampOf } from "./timestamps.js";
