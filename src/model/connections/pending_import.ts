import type { Secret } from "../../runtime/secret.js";
import type { Principal } from "../access/principal.js";
import type { SealedRecord } from "../credentials/credential.js";

/** Where the sealed part of an import lies. */
export interface ImportKey {
  /** The connection that it becomes. */
  readonly connectionId: string;
  readonly providerId: string;
  readonly startedAtMs: number;
}

/** An import of a refresh token, under way or done. */
export interface PendingImport extends ImportKey {
  readonly userId: string;
  /** Of the name that the connection gets. */
  readonly label: string;
  readonly scopes: readonly string[];
  readonly principal: Pick<Principal, "name" | "origin">;
  /** An `ImportedToken`; undefined once the connection holds a credential of its own. */
  readonly sealed: SealedRecord | undefined;
  /** Whether a key is sealed with the refresh token. */
  readonly keyed?: boolean | undefined;
  /** `grantBinding` of the profile that the token was given for; undefined in those of older stores. */
  readonly binding?: string | undefined;
  /** Id of the daemon that sends the token; undefined in those of older releases. */
  readonly owner?: string | undefined;
}

/** What an import redeems. */
export interface ImportedToken {
  readonly refreshToken: Secret;
  /** Proved with it (DPoP); undefined where none is. */
  readonly dpopKey: Secret | undefined;
}
