/** The door of `strategies`: how a credential is put into a request. */

export {
  type ApiRequest,
  type AuthorizedRequest,
  applyStrategy,
  type BodyHash,
  StrategyError,
} from "./apply_strategy.js";
export { AwsChunks, signedChunkForms } from "./aws_chunks.js";
export { hashHeader, isPresigned, servicesOfS3 } from "./aws_sigv4.js";
export { cutUrl, parameterName } from "./query.js";
