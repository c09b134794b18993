import { hash } from "node:crypto";
import type { Connection, ConnectionStatus } from "../../model/connections/connection.js";
import { type NameParts, nameKey } from "../../model/connections/connection_name.js";
import { type Databases, nothing } from "../lmdb/databases.js";

type NamedConnection = NameParts & Connection;

/** The order of `nexus.v1.ConnectionName`: a connection that works comes before one that waits, and that before one that ended. */
const ranks: Readonly<Record<ConnectionStatus, number>> = {
  active: 0,
  attention: 1,
  pending: 2,
  failed: 3,
  expired: 3,
  revoked: 4,
};
const firstEndedRank = 3;

/** Inside a transaction; undefined stands for a connection that is not there. */
export function moveInNames(
  databases: Databases,
  id: string,
  before: NamedConnection | undefined,
  after: NamedConnection | undefined,
): void {
  const { connectionsByName } = databases;
  if (before && after && isSamePlace(before, after)) return;
  if (before) connectionsByName.removeSync(keyOf(before, id));
  if (after) connectionsByName.putSync(keyOf(after, id), nothing);
}

/** The ids of a name, the one that it names first. */
export function* idsNamed(databases: Databases, name: NameParts): Generator<string> {
  const named = hashOf(name);
  for (const [key, , , id] of databases.connectionsByName.getKeys({ start: [named, -1, 0, ""] })) {
    if (key !== named) return;
    // The record of a connection that cannot be read does not say where it stands here.
    if (databases.connections.doesExist(id)) yield id;
  }
}

function keyOf(connection: NamedConnection, id: string): [string, number, number, string] {
  const rank = ranks[connection.status];
  const { createdAtMs } = connection;
  return [hashOf(connection), rank, rank >= firstEndedRank ? -createdAtMs : createdAtMs, id];
}

function isSamePlace(before: NamedConnection, after: NamedConnection): boolean {
  return (
    ranks[before.status] === ranks[after.status] &&
    before.createdAtMs === after.createdAtMs &&
    before.label === after.label &&
    before.userId === after.userId &&
    before.providerId === after.providerId
  );
}

/** Keys of LMDB are bounded, and a user id is not ours. */
function hashOf(name: NameParts): string {
  return hash("sha256", nameKey(name), "base64url");
}
