import { newConnection } from "../../model/connections/new_connection.js";
import { bearerStrategy } from "../../model/credentials/strategy.js";
import { DataLoss, unlessDataLoss } from "../../model/errors.js";
import type { StoredConnection } from "./connection_codec.js";

/** What a decoder throws means that the bytes are not what was written. @throws DataLoss */
export function readable<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DataLoss) throw error;
    throw new DataLoss(`the stored ${what} cannot be read`, error);
  }
}

/** Undefined instead of what cannot be read. */
export function unlessUnreadable<T>(decode: () => T): T | undefined {
  return unlessDataLoss(() => readable("record", decode));
}

/** Stands for a connection whose record cannot be read: it can be looked at and deleted, and holds up no other. */
export function unreadableConnection(id: string): StoredConnection {
  const blank = newConnection(
    id,
    { userId: "", label: "" },
    { id: "", name: "", strategy: bearerStrategy },
    1,
  );
  const problem = { reason: "data_loss", sinceMs: 1, retryAtMs: undefined } as const;
  return { changeRevision: 0n, connection: { ...blank, status: "attention", problem } };
}
