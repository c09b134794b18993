import { grantBinding } from "../../model/connections/grant_binding.js";
import type { Credential } from "../../model/credentials/credential.js";
import { DataLoss, FailedPrecondition, NexusError } from "../../model/errors.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { GrantFailure } from "../../oauth/failure.js";
import type { Secret } from "../../runtime/secret.js";
import { connectionKey, refreshKey } from "../token_endpoint/dpop_keys.js";
import type { Attempt } from "./outcome_writer.js";
import type { RefreshOutcome } from "./refresh_outcome.js";
import type { RefresherDeps } from "./refresher.js";

/** What a refresh is made with. */
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
  const { store, vault, servers, outcomes, failing } = deps;
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
    failing.grantFailed(profile.id, failure);
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
