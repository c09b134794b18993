import { createHash } from "node:crypto";
import type { Connection } from "../model/connection.js";
import type { AssociatedData, Credential, SealedCredential, SealedRecord } from "../model/credential.js";
import { Secret } from "../runtime/secret.js";
import {
  type AuthorizationSecret,
  decodeAuthorizationSecret,
  decodeCredential,
  decodeFields,
  encodeAuthorizationSecret,
  encodeCredential,
  encodeFields,
} from "../store/secret_codec.js";
import type { Vault } from "../vault/vault.js";

/** The single door to what is sealed: it knows each kind's place, so that a record opens only where it was put. */
export class CredentialVault {
  readonly #vault: Pick<Vault, "seal" | "open">;
  readonly #databaseId: string;

  constructor(options: { vault: Pick<Vault, "seal" | "open">; databaseId: string }) {
    this.#vault = options.vault;
    this.#databaseId = options.databaseId;
  }

  sealCredential(connection: Connection, revision: bigint, credential: Credential): SealedCredential {
    const sealed = this.#vault.seal(
      encodeCredential(credential),
      this.#credentialPlace(connection, revision),
    );
    return { revision, sealed };
  }

  /** @throws DataLoss when it cannot be opened, or is not the revision that the connection names */
  openCredential(connection: Connection, stored: SealedCredential): Credential {
    const place = this.#credentialPlace(connection, connection.credentialRevision);
    return decodeCredential(this.#vault.open(stored.sealed, place));
  }

  sealFields(
    connection: Connection,
    revision: bigint,
    fields: Readonly<Record<string, Secret>>,
  ): SealedCredential {
    const sealed = this.#vault.seal(encodeFields(fields), this.#credentialPlace(connection, revision));
    return { revision, sealed };
  }

  /** The fields of a static credential. @throws DataLoss as `openCredential` */
  openFields(connection: Connection, stored: SealedCredential): Record<string, Secret> {
    const place = this.#credentialPlace(connection, connection.credentialRevision);
    return decodeFields(this.#vault.open(stored.sealed, place));
  }

  sealClientSecret(providerId: string, secret: Secret): SealedRecord {
    return this.#vault.seal(
      Buffer.from(secret.reveal(), "utf8"),
      this.#place("client_secret", { providerId }),
    );
  }

  /** @throws DataLoss */
  openClientSecret(providerId: string, sealed: SealedRecord): Secret {
    return new Secret(
      this.#vault.open(sealed, this.#place("client_secret", { providerId })).toString("utf8"),
    );
  }

  sealAuthorization(connectionId: string, providerId: string, secret: AuthorizationSecret): SealedRecord {
    const place = this.#place("authorization", { connectionId, providerId });
    return this.#vault.seal(encodeAuthorizationSecret(secret), place);
  }

  /** @throws DataLoss */
  openAuthorization(connectionId: string, providerId: string, sealed: SealedRecord): AuthorizationSecret {
    const place = this.#place("authorization", { connectionId, providerId });
    return decodeAuthorizationSecret(this.#vault.open(sealed, place));
  }

  /** A single token that has left its connection, or has none yet. */
  sealToken(kind: TokenKind, place: TokenPlace, token: Secret): SealedRecord {
    return this.#vault.seal(Buffer.from(token.reveal(), "utf8"), this.#place(kind, tokenPlace(place)));
  }

  /** @throws DataLoss */
  openToken(kind: TokenKind, place: TokenPlace, sealed: SealedRecord): Secret {
    return new Secret(this.#vault.open(sealed, this.#place(kind, tokenPlace(place))).toString("utf8"));
  }

  #credentialPlace(connection: Connection, revision: bigint): AssociatedData {
    return this.#place("credential", {
      providerId: connection.providerId,
      connectionId: connection.id,
      revision,
    });
  }

  #place(kind: AssociatedData["kind"], part: Partial<AssociatedData>): AssociatedData {
    return { databaseId: this.#databaseId, kind, providerId: "", connectionId: "", revision: 0n, ...part };
  }
}

type TokenKind = Extract<AssociatedData["kind"], "revocation" | "import">;
type TokenPlace = Pick<AssociatedData, "connectionId" | "providerId"> & { readonly revision?: bigint };

/** Only what names the place, whatever else the argument holds. */
function tokenPlace({ connectionId, providerId, revision = 0n }: TokenPlace): Partial<AssociatedData> {
  return { connectionId, providerId, revision };
}

/** Key of a pending authorization: whoever reads the store does not learn a `state` that works. */
export function hashState(state: string): string {
  return createHash("sha256").update(state).digest("hex");
}
