/** The door of `outbound`: the way out to providers, and which addresses it may reach. */

export type { ProviderNetworks } from "./address_judge.js";
export { type AddressRefusal, canonicalHost, judgeAddress, judgeHost, judgeUrl } from "./address_judge.js";
export type { ApiTls } from "./api_tls.js";
export { AuthorityFiles, trusting } from "./certificate_authorities.js";
export { jsonResponse } from "./json_response.js";
export { networkWords, reachWords } from "./network_words.js";
export type { OutboundResponse } from "./outbound_exchange.js";
export {
  createOutboundFetch,
  OutboundError,
  type OutboundFetch,
  type OutboundRequest,
} from "./outbound_fetch.js";
export {
  connectToProxy,
  lookupAll,
  openTunnel,
  pinned,
  type ResolvedAddress,
  ready,
} from "./outbound_socket.js";
export { canReachAny, ProviderReach } from "./provider_reach.js";
export { parseRetryAfterMs } from "./retry_after.js";
export { noWebProxies, type WebProxy, type WebProxySettings, webProxyFor } from "./web_proxy.js";
