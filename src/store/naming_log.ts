import type { Log } from "../runtime/log.js";
import type { Store } from "./store.js";

type Ids = { readonly connectionId?: unknown; readonly providerId?: unknown };

/** The same log, in whose lines the names of a connection and of a provider stand beside their ids. */
export function namingLog(log: Log, store: Pick<Store, "getConnection" | "providerNameOf">): Log {
  const namesOf = (fields: object): object => {
    const { connectionId, providerId } = fields as Ids;
    const connection = typeof connectionId === "string" ? store.getConnection(connectionId) : undefined;
    const provider =
      connection?.providerName ??
      (typeof providerId === "string" ? store.providerNameOf(providerId) : undefined);
    return {
      ...(provider !== undefined && { provider }),
      ...(connection !== undefined && { user: connection.userId }),
    };
  };
  const named = (fields: object): object => {
    try {
      return { ...fields, ...namesOf(fields) };
    } catch {
      // A store that fails or is closed takes no line from the log.
      return fields;
    }
  };
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(named(fields), message),
    warn: (fields, message) => log.warn(named(fields), message),
    error: (fields, message) => log.error(named(fields), message),
  };
}
