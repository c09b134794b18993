/** The door of `service`: how an RPC is defined, bound, and answered. */

export { callerField, onBehalfField, onBehalfFrom, onBehalfMessage } from "./forwarding/on_behalf.js";
export { orElse } from "./forwarding/or_else.js";
export { bytesOf, statusOf, wireErrorOf } from "./forwarding/wire_status.js";
export type {
  BoundMethod,
  BoundService,
  CallContext,
  MessageSink,
  RpcAnswer,
  StreamContext,
} from "./pipeline/bound_service.js";
export { fromWireError, toWireError } from "./pipeline/error_table.js";
export { RateLimiter } from "./pipeline/rate_limiter.js";
export { restError } from "./pipeline/rest_error.js";
export { type RpcDescription, rpcName } from "./pipeline/rpc_access.js";
export { type Call, callerOf } from "./pipeline/rpc_call.js";
export {
  type DefinedMethod,
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "./pipeline/service_definition.js";
export { codes, WireError } from "./pipeline/wire_error.js";
