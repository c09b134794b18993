import type { Principal } from "../../model/access/principal.js";
import { isLive } from "../../model/connections/connection.js";
import type { NameParts } from "../../model/connections/connection_name.js";
import { AlreadyExists, ResourceExhausted } from "../../model/errors.js";
import type { Limits } from "../../model/limits.js";
import type { Transaction } from "../../store/transaction.js";

/** Before a connection is made. @throws ResourceExhausted */
export function refuseMoreConnections(
  tx: Transaction,
  userId: string,
  { maxConnectionsPerUser: limit }: Limits,
): void {
  if (tx.countConnectionsOfUser(userId) < limit) return;
  throw new ResourceExhausted("TOO_MANY_CONNECTIONS", {
    what: "connections of this user_id",
    limit,
    unit: "",
    setting: "NEXUS_MAX_CONNECTIONS_PER_USER",
  });
}

/** Before a connection is made. @throws AlreadyExists when another has its label; without one there may be several */
export function refuseTakenLabel(tx: Transaction, name: NameParts): void {
  if (name.label === "") return;
  // The first is live if any is.
  const [id] = tx.idsNamed(name);
  const first = id === undefined ? undefined : tx.getConnection(id);
  if (!first || !isLive(first)) return;
  throw new AlreadyExists(
    `the connection ${id} of this user and provider has this label: use it, end it, or choose another label`,
  );
}

/** Before a connection is made with an id that its caller chose. @throws AlreadyExists */
export function refuseTakenId(tx: Transaction, id: string | undefined): void {
  if (id === undefined || !tx.getConnection(id)) return;
  throw new AlreadyExists(`there is a connection ${id} already: use it, or import with another id`);
}

/** Before a pending authorization is made. Those that nobody answered end after 10 minutes. @throws ResourceExhausted */
export function refuseMoreAuthorizations(
  tx: Transaction,
  { name }: Principal,
  { maxPendingAuthorizations: limit }: Limits,
): void {
  if (tx.countAuthorizations(name) < limit) return;
  throw new ResourceExhausted("TOO_MANY_PENDING_AUTHORIZATIONS", {
    what: "requests for consent of this principal that wait for a person",
    limit,
    unit: "",
    setting: "NEXUS_MAX_PENDING_AUTHORIZATIONS",
  });
}
