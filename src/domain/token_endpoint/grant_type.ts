import type { Principal } from "../../model/access/principal.js";
import type { Connection } from "../../model/connections/connection.js";
import type { UserAccount } from "../../model/connections/connection_name.js";
import type { Limits } from "../../model/limits.js";
import type {
  GrantTypeName,
  ProviderProfile,
  ProviderSettings,
} from "../../model/providers/provider_profile.js";
import type { AuthorizationServer } from "../../oauth/authorization_server.js";
import type { MintedToken } from "../../oauth/grants/minted_token.js";
import type { ClientRequest } from "../../oauth/token_request.js";
import type { Renewed } from "../../oauth/token_response.js";
import type { OutboundRequest } from "../../outbound/outbound_fetch.js";
import type { Clock } from "../../runtime/clock.js";
import type { Secret } from "../../runtime/secret.js";
import type { Store } from "../../store/store.js";
import type { CredentialVault, CredentialWriter } from "../connections/connections.js";
import type { IssuerMetadata } from "./issuer_metadata.js";

/** One grant type: a file, and a row of the table. */
export interface GrantType {
  /** Errors of a profile of it, beyond those that every profile may have; fields as in `nexus.v1.Provider`. */
  violations?(settings: ProviderSettings, violation: (field: string, description: string) => void): void;
  /** Whether its profile names an identity provider. */
  readonly hasIdentityProvider?: boolean;
  /** What the private key of its profile must sign by (RFC 7518 section 3.1); any algorithm by default. */
  readonly signingAlg?: string;
  /** Called once in the life of a daemon, when a connection first needs it. */
  open(parts: GrantParts): TokenSource;
}

/** Loads the code of a grant type that is not the core's when a profile names it. */
export interface GrantTypeRow {
  readonly name: GrantTypeName;
  readonly importsIdTokens?: boolean;
  load(): Promise<GrantType>;
}

/** What a grant type may use. */
export interface GrantParts {
  readonly store: Store;
  readonly vault: CredentialVault;
  readonly writer: CredentialWriter;
  readonly servers: IssuerMetadata;
  readonly grants: {
    /** See `TokenEndpointClient.mint`. */
    mint(request: MintRequest, send: (common: ClientRequest) => Promise<MintedToken>): Promise<MintedToken>;
  };
  readonly clock: Clock;
  readonly limits: Limits;
}

/** How the tokens of one grant type come. */
export interface TokenSource {
  /** The next token of a connection, by one request at the token endpoint of its profile. @throws GrantFailure */
  renew(common: ClientRequest, request: RefreshRequest): Promise<Renewed>;
  /** Of a grant that another connection's credential is exchanged for. */
  readonly basis?: TokenBasis;
  /** Makes a connection of an id_token alone. @throws InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable */
  importIdToken?(
    profile: ProviderProfile,
    request: IdTokenImport,
    idToken: Secret,
    principal: Principal,
  ): Promise<Connection>;
}

/** For whom a connection is made of an id_token. */
export interface IdTokenImport {
  readonly userId: string;
  readonly label: string;
  readonly providerId: string;
  /** Empty means the profile's defaults. */
  readonly scopes: readonly string[];
}

export interface TokenBasis {
  /** The id of the other connection where it is to be refreshed first. */
  toRenew(connection: Connection, profile: ProviderProfile): string | undefined;
  /** Whether there is one to exchange, as far as that is known without a request. */
  isUsable(profile: ProviderProfile, name: UserAccount): boolean;
}

/** What a connection holds, and what was requested for it: each grant type takes what it needs. */
export interface RefreshRequest {
  readonly server: AuthorizationServer;
  readonly profile: ProviderProfile;
  readonly userId: string;
  /** Of the connection's name. */
  readonly label: string;
  /** Undefined where the grant has none, or before the first token. */
  readonly refreshToken: Secret | undefined;
  /** `sub` that an id_token in the answer must have. */
  readonly subject: string | undefined;
  /** Those of its newest request. */
  readonly scopes: readonly string[];
  /** Those of its credential. */
  readonly grantedScopes: readonly string[];
  /** `grantBinding` of the profile that the token was obtained with; undefined when that is not known. */
  readonly boundTo: string | undefined;
  /** The key that is proved (DPoP); undefined where none is. */
  readonly dpopKey: Secret | undefined;
  /** As in `OutboundRequest`; a grant that takes several requests calls it before each. */
  readonly beforeSend?: OutboundRequest["beforeSend"];
}

/** A request for a token that nothing is kept of. */
export interface MintRequest {
  readonly server: AuthorizationServer;
  readonly profile: ProviderProfile;
  /** As in `RefreshRequest`. */
  readonly boundTo?: string | undefined;
}
