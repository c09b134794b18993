import { grantBinding } from "../../model/connections/grant_binding.js";
import type { Credential } from "../../model/credentials/credential.js";
import { DataLoss, FailedPrecondition, NexusError } from "../../model/errors.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { Tracing } from "../../model/tracing.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { KeyedMutex } from "../../runtime/keyed_mutex.js";
import type { Secret } from "../../runtime/secret.js";
import type { CredentialWriter } from "../credentials/credential_writer.js";
import type { VaultParts } from "../credentials/parts.js";
import type { RevocationQueue } from "../revocation/revocation_queue.js";
import { connectionKey, refreshKey } from "../token_endpoint/dpop_keys.js";
import type { IssuerMetadata } from "../token_endpoint/issuer_metadata.js";
import type { TokenEndpointClient } from "../token_endpoint/token_endpoint_client.js";
import type { TokenSpool } from "./journal/token_spool.js";
import type { Attempt, OutcomeWriter } from "./outcome_writer.js";
import type { ProviderHealth } from "./provider_health.js";
import type { GrantBasis, RefreshMetrics, RefreshOutcome } from "./refresh_outcome.js";

/** What refreshes are made with. */
export interface RefresherDeps extends VaultParts {
  readonly writer: CredentialWriter;
  readonly servers: IssuerMetadata;
  readonly grants: Pick<TokenEndpointClient, "refresh">;
  /** Shared with consents: one token request per connection. */
  readonly locks: KeyedMutex<string>;
  readonly health: ProviderHealth;
  readonly outcomes: OutcomeWriter;
  /** Takes the token of a refresh that came too late, and of a consent that was not confirmed. */
  readonly revocations: RevocationQueue;
  /** Holds a token set until it is durable. */
  readonly spool: TokenSpool;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly metrics: RefreshMetrics;
  /** Called with the outcome of each attempt. */
  readonly onEnded?: ((outcome: RefreshOutcome) => void) | undefined;
  /** Shows refreshes as spans. */
  readonly tracing: Tracing;
  readonly sources?: GrantBasis;
}

/** What one refresh is made with. */
export interface PreparedRefresh {
  readonly server: AuthorizationServer;
  /** What is redeemed; undefined where nothing is. */
  readonly credential: Credential | undefined;
  /** The key that is proved (DPoP); undefined where none is. */
  readonly dpopKey: Secret | undefined;
}

/**
 * From a connection that is due to what its refresh is made with: all that can fail before anything is sent. Nothing goes to the token
 * endpoint.
 */
export async function prepareRefresh(
  deps: RefresherDeps,
  attempt: Attempt,
): Promise<PreparedRefresh | RefreshOutcome> {
  const { profile, connection } = attempt;
  const { store, vault, servers, outcomes, health } = deps;
  const isMinted = isUnattended(profile);
  const credential = isMinted ? undefined : await heldCredential(deps, attempt);
  if (typeof credential === "string") return credential;
  try {
    const server = await servers.resolve(profile);
    const dpopKey = isMinted
      ? connectionKey(profile, server, connection, store.getCredential(connection.id), vault)
      : refreshKey(profile, server, credential);
    return { server, credential, dpopKey };
  } catch (error) {
    if (!(error instanceof NexusError)) throw error;
    const kind = error instanceof FailedPrecondition ? "client" : "transient";
    const failure = new GrantFailure({ kind, refusal: error.message });
    health.notSent(profile.id, failure);
    return await outcomes.failed(attempt, failure);
  }
}

/** The credential that is redeemed. */
async function heldCredential(deps: RefresherDeps, attempt: Attempt): Promise<Credential | RefreshOutcome> {
  const { store, vault, outcomes, log } = deps;
  const { connection, profile } = attempt;
  let credential: Credential;
  try {
    const stored = store.getCredential(connection.id);
    if (!stored) throw new DataLoss("the credential of an active connection is missing");
    credential = vault.openCredential(connection, stored);
  } catch (error) {
    if (!(error instanceof DataLoss)) throw error;
    log.error({ connectionId: connection.id, error: error.message }, "credential cannot be opened");
    return await outcomes.record(attempt, "unreadable");
  }
  if (!credential.refreshToken) return "not_refreshable";
  const { binding: movedFrom } = credential;
  if (movedFrom === undefined || movedFrom === grantBinding(profile)) return credential;
  return await outcomes.record(attempt, "moved", { movedFrom });
}
