/** The kit of listeners: what a listener of an extension is built from. */

export { ApiListener } from "./api/api_listener.js";
export { BindingCookie } from "./callers/binding_cookie.js";
export { callerTrace, unauthenticatedMessage } from "./callers/request_headers.js";
export { answerJson, writeJson } from "./connect/json_answer.js";
export { type HttpAnswer, HttpListener, splitTarget } from "./listen/http_listener.js";
export { answerOrDestroy, pathOf, type Request, type Response, type Routes } from "./listen/http_message.js";
export type { Listener, ListenerPlace, OnUnexpected } from "./listen/listener.js";
export { guardOf, limitsOf } from "./listen/listener_limits.js";
export { limitPipelining, releaseConnection } from "./listen/pipelining.js";
export { StreamListener } from "./listen/stream_listener.js";
export { addressKey, Descriptors, SocketGuard } from "./sockets/socket_guard.js";
export { noteCredential, peerOf } from "./sockets/socket_notes.js";
export { OpenStreams } from "./standard/open_streams.js";
export type { OpenServices } from "./standard/standard_services.js";
export { Authority, type Leaf, type ServerCertificate, serverCertificate } from "./tls/authority.js";
export { ListenerTls } from "./tls/tls_listener.js";
export { readPair, type TlsPair } from "./tls/tls_pair.js";
