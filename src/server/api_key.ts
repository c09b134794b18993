import type { ListenAddress } from "../model/listen_address.js";
import { owner, type Principal } from "../model/principal.js";
import type { Authenticate } from "./door.js";

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

/**
 * Who acts: the owner on a Unix socket, which its mode guards, elsewhere whoever shows a key.
 *
 * @param origin address of the caller's socket
 */
export function identify(
  address: ListenAddress,
  authenticate: Authenticate,
  authorization: string | undefined,
  apiKey: string | undefined,
  origin: string,
): Principal | undefined {
  if (address.kind === "unix") return { ...owner, origin: "unix" };
  const key = readApiKey(authorization, apiKey);
  const principal = key === undefined ? undefined : authenticate(key);
  return principal && { ...principal, origin };
}
