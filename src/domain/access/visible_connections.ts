import type { Connection, ConnectionStatus } from "../../model/connections/connection.js";
import { namePath } from "../../model/connections/connection_name.js";
import type { Account } from "../../model/credentials/account.js";
import type { Store } from "../../store/store.js";

export interface ConnectionFilter {
  readonly afterId: string | undefined;
  /** At least 1. */
  readonly limit: number;
  readonly userId: string | undefined;
  readonly providerId: string | undefined;
  readonly status: ConnectionStatus | undefined;
  /** What their ids begin with; left out and empty mean all. */
  readonly idPrefix?: string;
  /** What they have in their names, or at the beginning of their ids, in any case; left out and empty mean all. */
  readonly search?: string;
}

/** Records looked at in one turn, some 1 ms, so that other callers are not held up. */
const stretch = 100;
/** Records looked at for a page of a caller who sees all: its message is made in one turn. */
const maxLooked = 500;

/** Whether a connection passes what the store's own order does not filter. */
function isWanted(connection: Connection, wanted: ConnectionFilter): boolean {
  const { userId, status } = connection;
  if (wanted.userId !== undefined && userId !== wanted.userId) return false;
  if (wanted.status !== undefined && status !== wanted.status) return false;
  return isFound(connection, wanted.search ?? "");
}

/** Connections as a caller lists them. */
export class VisibleConnections {
  constructor(private readonly deps: { readonly store: Store }) {}

  /**
   * One page in the order of ids, which may hold fewer than `limit`, even none, while more follow.
   *
   * @param sees of a restricted caller. Its page is full unless it is the last, and ends with a connection of the page. Neither its length
   * nor its end may reveal connections that the caller does not see.
   * @returns the page and the id to go on after; undefined on the last page
   */
  async list(
    options: ConnectionFilter,
    sees?: (connection: Connection) => boolean,
  ): Promise<{ connections: Connection[]; nextAfterId: string | undefined }> {
    const { limit, providerId, idPrefix } = options;
    const connections: Connection[] = [];
    let afterId = options.afterId;
    for (let looked = 0; sees || looked < maxLooked; looked += stretch) {
      if (looked > 0) await new Promise((resolve) => setImmediate(resolve));
      const page = this.deps.store.listConnections({ limit: stretch, afterId, providerId, idPrefix });
      for (const connection of page) {
        if (!isWanted(connection, options) || sees?.(connection) === false) continue;
        if (connections.length === limit) return { connections, nextAfterId: connections.at(-1)?.id };
        connections.push(connection);
      }
      if (page.length < stretch) return { connections, nextAfterId: undefined };
      afterId = page.at(-1)?.id;
    }
    return { connections, nextAfterId: afterId };
  }
}

type MatchedConnection = Pick<Connection, "id" | "userId" | "label" | "providerName"> & {
  readonly account?: Account | undefined;
};

/** @param search what stands in one of its names, also as `PROVIDER/USER/LABEL`, or at the beginning of its id, in any case; empty finds every connection */
export function isFound(
  { id, userId, label, providerName, account }: MatchedConnection,
  search: string,
): boolean {
  if (search === "") return true;
  const text = search.toLowerCase();
  const { subject = "", name = "", email = "", login = "" } = account ?? {};
  const path = namePath({ providerName, userId, label });
  const names = [path, userId, label, providerName, subject, name, email, login];
  return id.startsWith(text) || names.some((each) => each.toLowerCase().includes(text));
}
