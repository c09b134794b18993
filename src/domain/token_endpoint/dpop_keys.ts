import type { Connection } from "../../model/connections/connection.js";
import { grantBinding } from "../../model/connections/grant_binding.js";
import { type Credential, isBound, type SealedCredential } from "../../model/credentials/credential.js";
import { unlessDataLoss } from "../../model/errors.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import { newDpopKey } from "../../oauth/dpop/dpop_key.js";
import type { Secret } from "../../runtime/secret.js";
import type { CredentialVault } from "../connections/connections.js";

/** Whether requests of the profile prove a key (RFC 9449). */
export function wantsDpop(
  { authType, oauth2 }: ProviderProfile,
  { announcesDpop }: AuthorizationServer,
): boolean {
  if (authType !== "oauth2") return false;
  return oauth2.dpop === "always" || (oauth2.dpop === "auto" && announcesDpop);
}

/**
 * The key that a refresh proves: the one that the refresh token may be bound to. Where the profile wants one only since then, a new one.
 *
 * @returns undefined where none is proved
 */
export function refreshKey(
  profile: ProviderProfile,
  server: AuthorizationServer,
  credential: Credential | undefined,
): Secret | undefined {
  const isWanted = wantsDpop(profile, server);
  if (credential?.dpopKey && (isWanted || isBound(credential))) return credential.dpopKey;
  return isWanted ? newDpopKey() : undefined;
}

/**
 * The key to which the tokens of a new consent, or of the next mint, are bound. It is the connection's, or a new one if the connection has
 * none for the client and server that the profile names now. One key at two clients or servers would reveal to them that they serve the
 * same connection.
 *
 * @returns undefined where none is proved
 */
export function connectionKey(
  profile: ProviderProfile,
  server: AuthorizationServer,
  connection: Connection | undefined,
  stored: SealedCredential | undefined,
  vault: CredentialVault,
): Secret | undefined {
  if (!wantsDpop(profile, server)) return undefined;
  const credential = connection && stored && unlessDataLoss(() => vault.openCredential(connection, stored));
  if (credential?.dpopKey && credential.binding === grantBinding(profile)) return credential.dpopKey;
  return newDpopKey();
}
