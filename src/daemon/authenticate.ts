import { admin, at, owner } from "../model/principal.js";
import type { Authenticate } from "../server/shown_credentials.js";
import type { ApiKey } from "../vault/api_key_file.js";

/** On a Unix socket, which its mode guards, the owner; elsewhere whoever shows the key of the data folder. */
export function authenticateBy(adminKey: ApiKey): Authenticate {
  return ({ socket, token, origin }) => {
    if (socket === "unix") return at(owner, origin);
    return token !== undefined && adminKey.matches(token) ? at(admin, origin) : undefined;
  };
}
