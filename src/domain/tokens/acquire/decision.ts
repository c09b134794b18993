import type { Principal } from "../../../model/access/principal.js";
import { type Connection, problemSentence } from "../../../model/connections/connection.js";
import type { ConnectionName } from "../../../model/connections/connection_name.js";
import { FailedPrecondition } from "../../../model/errors.js";
import type { ProblemReason } from "../../../model/problem_reason.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Store } from "../../../store/store.js";
import type { ConnectionNames } from "../../access/connection_names.js";
import type { Connections } from "../../connections/connections.js";
import type { PendingLink } from "../../consent/consent_request.js";
import type { CredentialReader } from "../../credentials/credential_reader.js";
import { refusedLately } from "../../lifecycle/refused_consent.js";
import { wantedScopes } from "../../lifecycle/step_up.js";

/** Why a person is needed; see `nexus.v1.ConsentRequired`. */
export type ConsentReason = "not_connected" | "scopes_missing" | ProblemReason;

/** A link must be made, under the id of the connection if there is one. */
export interface MakeLink {
  readonly kind: "make";
  readonly connection: Connection | undefined;
  readonly reason: ConsentReason;
  /** Why the request before was refused a moment ago: reported in place of `reason`. */
  readonly refused: ConsentReason | undefined;
}

export interface LinkAnswer {
  readonly kind: "consent";
  readonly link: PendingLink;
  readonly reason: ConsentReason;
  /** Made by this very call, so that nobody has it yet. */
  readonly isNew?: boolean;
}

/**
 * What there is for a request. `exchange`: the user has answered, and the daemon exchanges the code. `confirmation`: the consent was
 * given, and waits for the application that asked for it.
 */
export type Decision =
  | { readonly kind: "token"; readonly connection: Connection }
  | { readonly kind: "exchange" }
  | { readonly kind: "confirmation" }
  | LinkAnswer
  | MakeLink;

/** What is known beside the store. */
export interface Known {
  /** A connection whose token has ended, and why there will be no other without a person. */
  readonly dead?: { readonly connection: Connection; readonly reason: ConsentReason };
  /** An exchange that is under way has taken too long: another link takes its place. */
  readonly isOverdue?: boolean;
}

/** What is asked for, of `nexus.v1.AcquireTokenRequest`. */
export interface Asked {
  readonly name: ConnectionName;
  readonly scopes: readonly string[];
}

export interface DeciderDeps {
  readonly store: Pick<Store, "getConnection" | "getProvider">;
  readonly reader: Pick<CredentialReader, "view">;
  readonly names: Pick<ConnectionNames, "findFor">;
  readonly connections: Pick<Connections, "pendingLink">;
  readonly clock: Clock;
}

/** Decides what a request gets. Changes nothing. */
export class Decider {
  constructor(private readonly deps: DeciderDeps) {}

  /** @throws FailedPrecondition when the provider refuses the client */
  decide(asked: Asked, principal: Principal, { dead, isOverdue = false }: Known): Decision {
    const { names, reader, clock } = this.deps;
    const id = names.findFor(asked.name, principal);
    const seen = id === undefined ? undefined : reader.view(id)?.connection;
    const isUsable = seen?.status === "active" && !this.#lacks(seen, asked.scopes);
    if (isUsable && dead === undefined) return { kind: "token", connection: seen };
    // As it is stored, its request for consent too, which a view may not know of yet.
    const stored = id === undefined ? undefined : this.deps.store.getConnection(id);
    const connection = stored?.status === "revoked" ? undefined : stored;
    const isDead = dead !== undefined && isSame(dead.connection, connection);
    if (isUsable && !isDead) return { kind: "token", connection: seen };
    if (connection?.problem?.reason === "misconfigured" && connection.status === "attention") {
      throw new FailedPrecondition("PROVIDER_MISCONFIGURED", problemSentence(connection.problem));
    }
    const reason = isDead ? dead.reason : reasonOf(connection);
    if (connection?.awaitingConfirmation === true) return { kind: "confirmation" };
    const nowMs = clock.nowMs();
    const isExchanged =
      connection?.pendingStateHash === undefined && (connection?.requestExpiresAtMs ?? 0) > nowMs;
    if (isExchanged && !isOverdue) return { kind: "exchange" };
    // Whoever showed a link that was refused asks again, and is to show no other by itself.
    const refused = isExchanged || !connection ? undefined : refusedLately(connection, nowMs);
    return this.#found(connection, reason, refused, asked, principal);
  }

  /** What an API said is missing, whoever asks. */
  wanted(connection: Connection): readonly string[] {
    return wantedScopes(connection, this.deps.clock.nowMs()) ?? [];
  }

  #found(
    connection: Connection | undefined,
    reason: ConsentReason,
    refused: ConsentReason | undefined,
    { scopes }: Asked,
    principal: Principal,
  ): LinkAnswer | MakeLink {
    const asked = connection && [...scopes, ...this.wanted(connection)];
    const link = asked && this.deps.connections.pendingLink(connection, asked, principal);
    if (link) return { kind: "consent", link, reason: refused ?? reason };
    return { kind: "make", connection, reason, refused };
  }

  #lacks(connection: Connection, scopes: readonly string[]): boolean {
    const { grantedScopes, consentedScopes, providerId } = connection;
    if (wantedScopes(connection, this.deps.clock.nowMs()) !== undefined) return true;
    const has = (scope: string): boolean => grantedScopes.includes(scope) || consentedScopes.includes(scope);
    if (scopes.every(has)) return false;
    const isStatic = (this.deps.store.getProvider(providerId)?.authType ?? "oauth2") !== "oauth2";
    return !isStatic;
  }
}

/** Whether a connection still has the credential that it had. */
function isSame(before: Connection, now: Connection | undefined): boolean {
  return now?.id === before.id && now.credentialRevision === before.credentialRevision;
}

function reasonOf(connection: Connection | undefined): ConsentReason {
  if (connection?.status === "active") return "scopes_missing";
  return connection?.problem?.reason ?? "not_connected";
}
