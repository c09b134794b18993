import {
  type ClientCertificate,
  certificateEnded,
  pemOf,
  readClientCertificate,
} from "../../model/clients/client_certificate.js";
import type { OutboundFetch } from "../../outbound/outbound.js";
import type { Clock } from "../../runtime/clock.js";
import { GrantFailure } from "../failure.js";

/**
 * The same fetch, whose requests to endpoints are made with the certificate of the client (RFC 8705 section 2). Keys of the server are
 * fetched without: there is nobody to prove anything to.
 *
 * The fetch throws GrantFailure of kind `client`, before anything is sent, when the certificate has ended or cannot be used.
 */
export function presentingCertificate(
  fetch: OutboundFetch,
  certificate: ClientCertificate | undefined,
  clock: Clock,
): OutboundFetch {
  if (certificate === undefined) return fetch;
  return async (url, request) => {
    if (request.method !== "POST") return await fetch(url, request);
    return await fetch(url, { ...request, clientCertificate: usable(certificate, clock.nowMs()) });
  };
}

function usable({ chain, privateKey }: ClientCertificate, nowMs: number): ClientCertificate {
  let why: string | undefined;
  try {
    why = certificateEnded(readClientCertificate(chain), nowMs);
    if (why === undefined) return { chain, privateKey: pemOf(privateKey) };
  } catch (error) {
    why = error instanceof Error ? error.message : "cannot be used";
  }
  const refusal = `the client certificate of the profile ${why}: put another one with its key into tls_client_certificate and client_secret`;
  throw new GrantFailure({ kind: "client", refusal });
}
