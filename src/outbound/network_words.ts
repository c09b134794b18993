import { certificateRefusals, type OutboundError } from "./outbound_fetch.js";

/** How a provider could not be reached, as the end of a sentence, with what to do. `isClock`: the clock of this machine is the first suspect. */
export interface NetworkWords {
  readonly words: string;
  readonly isClock: boolean;
}

const ofName = (host: string): string =>
  `the name ${host} does not resolve: check its spelling and the DNS of this machine`;
const ofRoute = (host: string): string =>
  `${host} cannot be reached from this machine: check its network and firewall`;
const ofDescriptors = (host: string): string =>
  `this process has no descriptor left for a connection to ${host}: raise its limit (ulimit -n, or LimitNOFILE of its unit)`;
const ofTrust = (host: string): string =>
  `the TLS certificate of ${host} is not trusted here: name the certificate of its authority in NEXUS_API_CA_FILES, and in api_ca_file of the provider (or set NODE_EXTRA_CA_CERTS, for all providers)`;

/** By the system's word. */
const byCode: Readonly<Record<string, (host: string) => string>> = {
  ECONNREFUSED: (host) => `${host} refuses the connection: check the port, and that the provider is up`,
  ECONNRESET: (host) => `${host} closed the connection without an answer: try again`,
  EPIPE: (host) => `${host} closed the connection without an answer: try again`,
  ENOTFOUND: ofName,
  EAI_AGAIN: ofName,
  EAI_NODATA: ofName,
  EHOSTUNREACH: ofRoute,
  ENETUNREACH: ofRoute,
  ETIMEDOUT: ofRoute,
  EMFILE: ofDescriptors,
  ENFILE: ofDescriptors,
  DEPTH_ZERO_SELF_SIGNED_CERT: ofTrust,
  SELF_SIGNED_CERT_IN_CHAIN: ofTrust,
  UNABLE_TO_GET_ISSUER_CERT: ofTrust,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ofTrust,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ofTrust,
  PROXY_UNREACHABLE: (host) =>
    `the proxy of HTTPS_PROXY, through which ${host} is reached, does not answer: check HTTPS_PROXY, or name the host in NO_PROXY`,
  PROXY_AUTHENTICATION: (host) =>
    `the proxy of HTTPS_PROXY, through which ${host} is reached, does not accept its user and password: set HTTPS_PROXY to http://user:password@host:port`,
  PROXY_REFUSED: (host) =>
    `the proxy of HTTPS_PROXY does not let requests through to ${host}: ask its operator, or name the host in NO_PROXY`,
  ERR_TLS_CERT_ALTNAME_INVALID: (host) =>
    `the TLS certificate is not one of ${host}: check the spelling of the host`,
};

const clockByCode: Readonly<Record<string, (host: string) => string>> = {
  CERT_NOT_YET_VALID: (host) =>
    `the TLS certificate of ${host} is not valid yet: the clock of this machine is behind; set it (NTP)`,
  CERT_HAS_EXPIRED: (host) =>
    `the TLS certificate of ${host} has expired: either that is so, or the clock of this machine is ahead; check it first (NTP)`,
};

/** Says nothing that the provider wrote. */
export function networkWords({
  reason,
  phase,
  code,
  host,
  httpStatus,
  message,
}: OutboundError): NetworkWords {
  const clock = code === undefined ? undefined : clockByCode[code];
  if (clock) return { words: `${clock(host)} (${code})`, isClock: true };
  return { words: plainWords(), isClock: false };

  function plainWords(): string {
    switch (reason) {
      case "timeout":
        return phase === "before_send"
          ? `${host} does not accept a connection in time: check the network and firewall of this machine`
          : `${host} takes the request and does not answer in time: try again`;
      case "redirect":
        return `${host} answers with a redirect (HTTP status ${httpStatus ?? 300}), which is not followed: check the URL`;
      case "too_large":
        return `${host} answers with more than the daemon reads: check the URL`;
      case "client_certificate":
      case "authority_file":
      case "authority_unread":
        return message;
      case "not_leading":
        return `nothing was sent to ${host}, since another hub may lead by now: try again`;
      case "aborted":
        return `the request to ${host} was cut off since the daemon ends`;
      default: {
        const known = code === undefined ? undefined : byCode[code];
        const words = known?.(host) ?? `${host} cannot be reached: check the URL and the network`;
        return code === undefined ? words : `${words} (${code})`;
      }
    }
  }
}

/** The same for an API. */
export function reachWords(host: string, code: string | undefined): string {
  if (code !== undefined && certificateRefusals.test(code))
    return `${host} does not accept the client certificate of the credential, or wants one: check tls_client_certificate and tls_client_key of the connection (${code})`;
  return networkWords({ reason: "network", code, host } as OutboundError).words;
}
