/** The door of `service/messages`: what stands in a message, as the model has it. */

export { connectionStatusOf } from "./connection_message.js";
export {
  AcquiredCredentials,
  ContractCredentials,
  type CredentialRpcs,
  type RpcOptions,
  UnshownMessages,
} from "./contract_credentials.js";
export { versionOfEtag } from "./provider_message.js";
export { type ShownRequestInit, shownRequestMessage, shownRequestOf } from "./shown_request.js";
export { present, timestampOf } from "./timestamps.js";
