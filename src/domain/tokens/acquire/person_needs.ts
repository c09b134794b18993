import type { Principal } from "../../../model/access/principal.js";
import { type Connection, problemSentence } from "../../../model/connections/connection.js";
import type { ConnectionName } from "../../../model/connections/connection_name.js";
import { FailedPrecondition } from "../../../model/errors.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import type { ConnectionNames } from "../../access/connection_names.js";
import type { Connections } from "../../connections/connections.js";
import type { CredentialReader } from "../../credentials/credential_reader.js";
import { refusedLately } from "../../lifecycle/refused_consent.js";
import { wantedScopes } from "../../lifecycle/step_up.js";
import type { ConsentReason, Outcome } from "./acquire_outcome.js";

/** A person is needed, for this connection or for a new one. */
export interface Need {
  /** What is the matter. */
  readonly reason: ConsentReason;
  /** Why the request before was refused a moment ago: told in place of `reason`. */
  readonly refused: ConsentReason | undefined;
  readonly connection: Connection | undefined;
}

export function toldReason({ reason, refused }: Omit<Need, "connection">): ConsentReason {
  return refused ?? reason;
}

/** What is asked for, of `nexus.v1.AcquireTokenRequest`. */
interface Asked {
  readonly name: ConnectionName;
  readonly scopes: readonly string[];
}

export interface PersonNeedsDeps {
  readonly store: Pick<Store, "getConnection" | "getProvider">;
  readonly reader: Pick<CredentialReader, "view">;
  readonly names: Pick<ConnectionNames, "findFor">;
  readonly connections: Pick<Connections, "pendingLink">;
  readonly clock: Clock;
}

/** What a person is needed for, and the request that asks for it already. */
export class PersonNeeds {
  constructor(private readonly deps: PersonNeedsDeps) {}

  /** What the store says: the connection whose token is to be had, or why a person is needed. */
  judge({ name, scopes }: Asked, principal: Principal): Need | { readonly connection: Connection } {
    const id = this.deps.names.findFor(name, principal);
    const seen = id === undefined ? undefined : this.deps.reader.view(id)?.connection;
    if (seen?.status === "active" && !this.#lacks(seen, scopes)) return { connection: seen };
    const connection = id === undefined ? undefined : this.usable(id);
    if (connection?.problem?.reason === "misconfigured" && connection.status === "attention") {
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", problemSentence(connection.problem));
    }
    const isWhole = connection?.status === "active";
    const reason = isWhole ? "scopes_missing" : (connection?.problem?.reason ?? "not_connected");
    return this.of(connection, reason);
  }

  /** Whoever showed a link that was refused asks again, and is to show no other by itself. */
  of(connection: Connection | undefined, reason: ConsentReason): Need {
    const refused = connection && refusedLately(connection, this.deps.clock.nowMs());
    return { connection, reason, refused };
  }

  /** As it is stored, its request for consent too, which a view may not know of yet. Undefined also when it is revoked, for good. */
  usable(connectionId: string): Connection | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    return connection?.status === "revoked" ? undefined : connection;
  }

  #lacks(connection: Connection, scopes: readonly string[]): boolean {
    const { grantedScopes, consentedScopes, providerId } = connection;
    if (this.wanted(connection) !== undefined) return true;
    const has = (scope: string): boolean => grantedScopes.includes(scope) || consentedScopes.includes(scope);
    if (scopes.every(has)) return false;
    const isStatic = (this.deps.store.getProvider(providerId)?.authType ?? "oauth2") !== "oauth2";
    return !isStatic;
  }

  /** What an API said is missing, whoever asks. */
  wanted(connection: Connection): readonly string[] | undefined {
    return wantedScopes(connection, this.deps.clock.nowMs());
  }

  /** What there is of it already: a link that asks for all of it, or a consent that is under way. */
  found(need: Need, { scopes }: Asked, principal: Principal): Outcome | undefined {
    const { connection } = need;
    if (!connection) return undefined;
    if (connection.awaitingConfirmation === true) return { kind: "unconfirmed" };
    const { pendingStateHash, requestExpiresAtMs } = connection;
    if (pendingStateHash === undefined && (requestExpiresAtMs ?? 0) > this.deps.clock.nowMs()) {
      return { kind: "answered" };
    }
    const asked = [...scopes, ...(this.wanted(connection) ?? [])];
    const link = this.deps.connections.pendingLink(connection, asked, principal);
    return link && { kind: "consent", link, reason: toldReason(need) };
  }
}
