import type { ListenAddress } from "../model/listen_address.js";
import type { ShownCredentials } from "./shown_credentials.js";

/** What a caller without a valid key is told. */
export const unauthenticatedMessage =
  "this address asks for an API key: send it as `authorization: Bearer <key>` or `x-api-key: <key>`";

/**
 * Reads the API key of a request. The scheme is compared without regard to case (RFC 9110, section 11.1).
 *
 * @param authorization the field `authorization`
 * @param apiKey the field `x-api-key`
 */
export function readApiKey(
  authorization: string | undefined,
  apiKey: string | undefined,
): string | undefined {
  const bearer = authorization === undefined ? undefined : /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  return bearer ?? (apiKey === "" ? undefined : apiKey);
}

/** @param origin address of the caller's socket */
export function shownCredentials(
  address: ListenAddress,
  authorization: string | undefined,
  apiKey: string | undefined,
  origin: string,
): ShownCredentials {
  const token = readApiKey(authorization, apiKey);
  return address.kind === "unix"
    ? { socket: "unix", token, origin: "unix" }
    : { socket: "tcp", token, origin };
}
