/** The door of `model/credentials`: token sets, clients of providers and their keys, as plain values. */

export { type ApiCertificate, certificateFields } from "./../clients/api_certificate.js";
export { type ClientKeyType, clientKeyTypes, jwksPath } from "./../clients/client_key.js";
export {
  grantedByFile,
  hasPrivateKey,
  hasSecretBesideJwt,
  provesByFile,
  provesByTls,
  signsByKeyFile,
} from "./../clients/client_proof.js";
export { accountText } from "./account.js";
export type { ClientRegistration } from "./client_registration.js";
export {
  type AssociatedData,
  isBound,
  type SealedCredential,
  type SealedRecord,
  type TokenSet,
} from "./credential.js";
export { bearerStrategy, needsProof, type Strategy, type StrategyKind } from "./strategy.js";
export { strategyConfig } from "./strategy_config.js";
