import type { Peer, PresentedCredentials } from "../../domain/access/access.js";
import type { ListenAddress } from "../../model/listen_address.js";
import type { CallerTrace } from "../../model/tracing.js";

/** The error for a caller without a valid credential. @param sent the fields `authorization` and `x-api-key` */
export function unauthenticatedMessage(...sent: readonly unknown[]): string {
  const how = "send it as `authorization: Bearer <key>` or `x-api-key: <key>`";
  return sent.some((field) => typeof field === "string")
    ? `the API key or token that was sent is not valid: it is wrong, or was revoked or expired, or its lease was not renewed; ${how}`
    : `this address asks for an API key, and none was sent: ${how}`;
}

/**
 * Reads the API key of a request. The scheme is compared without regard to case (RFC 9110, section 11.1).
 *
 * @param authorization the field `authorization`
 * @param apiKey the field `x-api-key`
 * @returns undefined when neither field is there; empty, which proves nobody, when one is and holds nothing that is read as a key
 */
export function readApiKey(
  authorization: string | undefined,
  apiKey: string | undefined,
): string | undefined {
  const bearer = authorization === undefined ? undefined : /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  return bearer ?? apiKey ?? (authorization === undefined ? undefined : "");
}

/**
 * @param origin address of the caller's socket
 * @param peer what its connection proves
 */
export function presentedCredentials(
  address: ListenAddress,
  authorization: string | undefined,
  apiKey: string | undefined,
  origin: string,
  peer: Peer | undefined,
): PresentedCredentials {
  const token = readApiKey(authorization, apiKey);
  return address.kind === "unix"
    ? { socket: "unix", token, origin: "unix", peer }
    : { socket: "tcp", token, origin, peer };
}

/** The trace that a request belongs to, by its headers of that name; undefined where it says nothing. */
export function callerTrace(traceparent: unknown, tracestate: unknown): CallerTrace | undefined {
  if (typeof traceparent !== "string") return undefined;
  return { traceparent, tracestate: typeof tracestate === "string" ? tracestate : undefined };
}
