import type { Connection } from "../../model/connections/connection.js";
import type { UserAccount } from "../../model/connections/connection_name.js";
import { type FieldViolation, InvalidArgument } from "../../model/errors.js";
import type {
  GrantTypeName,
  ProviderProfile,
  ProviderSettings,
} from "../../model/providers/provider_profile.js";
import { GrantFailure } from "../../oauth/failure.js";
import { clientCredentials } from "../../oauth/grants/minted_token.js";
import { refresh } from "../../oauth/grants/refresh_grant.js";
import type { Store } from "../../store/store.js";
import type { GrantParts, GrantType, GrantTypeRow, TokenSource } from "./grant_type.js";

const core: Readonly<Partial<Record<GrantTypeName, GrantType>>> = {
  /** RFC 6749 section 6: what the user granted lives on in its refresh token. */
  authorization_code: {
    open: () => ({
      renew: async (common, { refreshToken, subject, grantedScopes }) => {
        if (refreshToken === undefined) throw new GrantFailure({ kind: "invalid_grant" });
        return await refresh({ ...common, refreshToken, previousSubject: subject, grantedScopes });
      },
    }),
  },
  /** RFC 6749 section 4.4. */
  client_credentials: {
    open: () => ({ renew: (common, { scopes }) => clientCredentials({ ...common, scopes }) }),
  },
};

/** The grant types that there are: those of the core, and a row for each of the others. */
export class GrantTypes {
  constructor(private readonly rows: readonly GrantTypeRow[] = []) {}

  /** Undefined where no row has it. */
  async load(name: GrantTypeName): Promise<GrantType | undefined> {
    return core[name] ?? (await this.rows.find((row) => row.name === name)?.load());
  }

  /** The one whose connections are made of id_tokens. */
  get importer(): GrantTypeName | undefined {
    return this.rows.find(({ importsIdTokens }) => importsIdTokens)?.name;
  }
}

/** What a grant type finds wrong with a profile of it. */
export function grantViolations(settings: ProviderSettings, type: GrantType | undefined): FieldViolation[] {
  const { authType, grantType, identityProvider } = settings;
  if (authType !== "oauth2") return [];
  if (type === undefined) return [{ field: "provider.grant_type", description: missing(grantType) }];
  const violations: FieldViolation[] = [];
  const violation = (field: string, description: string): void => {
    violations.push({ field: `provider.${field}`, description });
  };
  if (identityProvider !== "" && type.hasIdentityProvider !== true)
    violation("identity_provider", `is of no use to the grant type ${grantType}: leave it empty`);
  type.violations?.(settings, violation);
  return violations;
}

/** The grant types that connections of this daemon use, each opened once. */
export class TokenSources {
  readonly #opened = new Map<GrantTypeName, Promise<TokenSource>>();

  constructor(
    private readonly deps: {
      readonly types: GrantTypes;
      readonly store: Pick<Store, "getConnection" | "getProvider">;
      readonly parts: () => GrantParts;
    },
  ) {}

  /** @throws GrantFailure where no row has the grant type of the profile */
  of(grantType: GrantTypeName): Promise<TokenSource> {
    const opened = this.#opened.get(grantType) ?? this.#open(grantType);
    this.#opened.set(grantType, opened);
    return opened;
  }

  async #open(name: GrantTypeName): Promise<TokenSource> {
    const type = await this.deps.types.load(name);
    if (type === undefined) throw new GrantFailure({ kind: "client", refusal: missing(name) });
    return type.open(this.deps.parts());
  }

  /** The id of a connection that is to be refreshed before this one: its grant is made of that one's credential. Undefined at once for most. */
  toRenew(connectionId: string): Promise<string | undefined> | undefined {
    const connection = this.deps.store.getConnection(connectionId);
    const profile = connection && this.deps.store.getProvider(connection.providerId);
    if (!connection || !profile || hasNoBasis(profile)) return undefined;
    return this.of(profile.grantType).then(
      ({ basis }) => basis?.toRenew(connection, profile),
      // The refresh itself says why.
      () => undefined,
    );
  }

  /** False where another connection's credential would be exchanged, and there is none. */
  async hasBasis(profile: ProviderProfile, name: UserAccount): Promise<boolean> {
    if (hasNoBasis(profile)) return true;
    return (await this.of(profile.grantType)).basis?.isUsable(profile, name) ?? true;
  }

  /** Makes a connection of an id_token alone. @throws InvalidArgument, FailedPrecondition, ResourceExhausted, Unavailable */
  async importIdToken(...[profile, request, idToken, principal]: Import): Promise<Connection> {
    const { importer } = this.deps.types;
    const source = importer && (await this.of(importer));
    if (!source?.importIdToken) {
      const description =
        "is of no use to this build of nexusd, which has no grant type that exchanges id_tokens";
      throw new InvalidArgument([{ field: "id_token", description }]);
    }
    return await source.importIdToken(profile, request, idToken, principal);
  }
}

type Import = Parameters<NonNullable<TokenSource["importIdToken"]>>;

function hasNoBasis({ authType, grantType }: ProviderProfile): boolean {
  return authType !== "oauth2" || core[grantType] !== undefined;
}

function missing(name: GrantTypeName): string {
  return `the grant type ${name} is not part of this build of nexusd: run one that has the extension for it`;
}
