import type { ApiKeys } from "../domain/api_keys.js";
import { admin, at, owner } from "../model/principal.js";
import type { Authenticate } from "../server/shown_credentials.js";
import type { ApiKey } from "../vault/api_key_file.js";

/** On a Unix socket, which its mode guards, the owner; elsewhere whoever shows the key of the data folder, or an API key. */
export function authenticateBy(adminKey: ApiKey, keys: Pick<ApiKeys, "verify">): Authenticate {
  return ({ socket, token, origin }) => {
    if (socket === "unix") return at(owner, origin);
    if (token === undefined) return undefined;
    const principal = keys.verify(token) ?? (adminKey.matches(token) ? admin : undefined);
    return principal && at(principal, origin);
  };
}
