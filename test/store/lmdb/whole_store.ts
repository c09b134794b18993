import { credentialPlace } from "../../../src/domain/connections/credential_vault.js";
import type { Connection } from "../../../src/model/connections/connection.js";
import type { Store } from "../../../src/store/store.js";
import { Vault } from "../../../src/vault/vault.js";
import { aConnection, aProfile, nowMs, sealed } from "../../samples.js";

const vault = new Vault([Buffer.alloc(32, 1)]);
const providerId = "00000000-0000-4000-8000-000000000001";
const count = 150;
const idOf = (index: number): string => `00000000-0000-4000-8000-1${String(index).padStart(11, "0")}`;
const tokenOf = (id: string): string => `token of ${id}`;

function connectionAt(index: number, revision: bigint): Connection {
  return aConnection({
    ...{ id: idOf(index), providerId, dueAtMs: nowMs + index, credentialRevision: revision },
    failedRefreshes: Number(revision),
  });
}

/** Fills a store with a bit of everything, and leaves free pages. */
export async function fill(store: Store): Promise<void> {
  await store.commit((tx) => tx.putProvider(aProfile({ id: providerId, name: "acme" })));
  for (let revision = 1n; revision <= 3n; revision++)
    for (let index = 0; index < count; index += 10)
      await store.commit((tx) => {
        for (let at = index; at < index + 10; at++) {
          const connection = connectionAt(at, revision);
          const place = { ...credentialPlace(connection, revision), databaseId: store.databaseId };
          // Some take pages of their own.
          const padding = at % 7 === 0 ? "x".repeat(9_000) : "";
          tx.putConnection(connection);
          tx.putCredential(connection.id, {
            revision,
            sealed: vault.seal(Buffer.from(`${tokenOf(connection.id)}\n${padding}`), place),
          });
          tx.appendAudit({
            ...{ timeMs: nowMs, type: "token_refreshed", principal: "daemon" },
            ...{ connectionId: connection.id, reason: `revision ${revision}` },
          });
        }
      });
  await store.commit((tx) => {
    for (let index = 0; index < count; index += 5) tx.deleteConnection(idOf(index));
  });
}

/** Reads whatever can be read. `wrong` are tokens that are not of the connection that was asked for. */
export function readAll(store: Store): { readonly wrong: string[]; readonly unreadable: number } {
  const wrong: string[] = [];
  let unreadable = 0;
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch {
      unreadable++;
    }
  };
  for (let index = 0; index < count; index++)
    attempt(() => {
      const connection = store.getConnection(idOf(index));
      const credential = store.getCredential(idOf(index));
      if (!connection || !credential) return;
      const place = credentialPlace(connection, connection.credentialRevision);
      const [token] = vault
        .open(credential.sealed, { ...place, databaseId: store.databaseId })
        .toString("utf8")
        .split("\n");
      if (token !== tokenOf(idOf(index))) wrong.push(token ?? "");
    });
  attempt(() => store.listConnections({ limit: 1_000 }));
  attempt(() => store.listConnections({ limit: 1_000, providerId }));
  attempt(() => store.listProviders({ limit: 10 }));
  attempt(() => store.listAuditEvents({ limit: 1_000 } as never));
  attempt(() => store.listApiKeys());
  attempt(() => store.countByStatus());
  attempt(() => [...store.connectionIds(undefined, 1_000)]);
  return { wrong, unreadable };
}

/** Writes to every database that `fill` wrote to. */
export async function writeAll(store: Store): Promise<void> {
  for (let index = 0; index < count; index += 3)
    await store.commit((tx) => {
      const connection = connectionAt(index, 9n);
      tx.putConnection(connection);
      tx.putCredential(connection.id, {
        revision: 9n,
        sealed: { ...sealed("x"), ciphertext: Buffer.alloc(index * 200) },
      });
      tx.appendAudit({ timeMs: nowMs, type: "token_refreshed", principal: "daemon" });
      tx.deleteConnection(idOf(index + 1));
    });
}
