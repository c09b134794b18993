import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import type { Store } from "../../store/store.js";
import type { Vault } from "../../vault/vault.js";
import { CredentialReader, type CredentialReaderDeps, TokenCache } from "./credential_reader.js";
import { CredentialVault } from "./credential_vault.js";
import { CredentialWriter } from "./credential_writer.js";

export {
  attention,
  type ConnectionChange,
  changeConnection,
  consentEnded,
  consentGiven,
  consentRequested,
  problemSince,
  takeRequest,
  tokenChangeOf,
  whileRefused,
} from "./connection_change.js";
export {
  type ConnectionView,
  CredentialReader,
  type CredentialReaderDeps,
  type CurrentToken,
} from "./credential_reader.js";
export {
  authorizationPlace,
  type CiphertextBinding,
  CredentialVault,
  clientKeyPlace,
  clientSecretPlace,
  credentialPlace,
  hashState,
  importPlace,
  registrationPlace,
  revocationPlace,
} from "./credential_vault.js";
export { type Composed, CredentialWriter } from "./credential_writer.js";
export { isDetached, movedGrant, moveGrants } from "./grant_rebinding.js";
export type { StoreParts, VaultParts } from "./parts.js";
export {
  refuseMoreAuthorizations,
  refuseMoreConnections,
  refuseTakenId,
  refuseTakenLabel,
} from "./quotas.js";

/** Credentials as they are stored: sealed, written, and read. */
export interface StoredCredentials {
  /** Seals and opens what is stored. */
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  readonly reader: CredentialReader;
}

export function openCredentials(deps: {
  readonly store: Store;
  /** The keys that seal the store. */
  readonly ring: Vault;
  readonly changes: Changes;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** What tokens are read from; the store by default. */
  readonly readable?: CredentialReaderDeps["store"] | undefined;
}): StoredCredentials {
  const { store, ring, changes, clock, random, readable = store } = deps;
  const vault = new CredentialVault({ vault: ring, databaseId: store.databaseId });
  return {
    vault,
    writer: new CredentialWriter({ vault, clock, random }),
    reader: new CredentialReader({ store: readable, vault, clock, cache: new TokenCache(changes) }),
  };
}
