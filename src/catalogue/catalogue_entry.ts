import type { Strategy, StrategyKind } from "../model/credentials/strategy.js";
import { strategyOfConfig } from "../model/credentials/strategy_config.js";
import type { JsonObject } from "../model/json.js";
import { plainOAuth2 } from "../model/providers/profile_fields.js";
import type { OAuth2Options } from "../model/providers/profile_settings.js";
import {
  type AuthType,
  type ProviderSettings,
  strategiesOfType,
  type TokenEndpointAuthMethod,
} from "../model/providers/provider_profile.js";
import type { ProviderTemplate } from "../model/providers/provider_template.js";

/** One provider of a catalogue file, as `catalogue.schema.json` describes it. */
export interface CatalogueEntry {
  readonly name: string;
  readonly display_name: string;
  readonly category: string;
  readonly description?: string;
  readonly auth_type: AuthType;
  readonly issuer?: string;
  readonly enable_discovery?: boolean;
  readonly auth_url?: string;
  readonly token_url?: string;
  readonly jwks_url?: string;
  readonly token_endpoint_auth_method?: TokenEndpointAuthMethod;
  readonly scopes?: readonly string[];
  readonly authorization_params?: Readonly<Record<string, string>>;
  readonly api_base_url?: string;
  readonly user_info_endpoint?: string;
  readonly refresh_window_seconds?: number;
  readonly strategy?: { readonly type: StrategyKind } & Readonly<Record<string, string>>;
  readonly credential_schema?: JsonObject;
  readonly oauth2_options?: EntryOptions;
  readonly variables?: Readonly<Record<string, EntryVariable>>;
  readonly docs_url: string;
  readonly notes?: readonly string[];
}

interface EntryVariable {
  readonly description: string;
  readonly pattern?: string;
  readonly default?: string;
  readonly example: string;
}

interface EntryOptions {
  readonly scope_separator?: string;
  readonly token_params?: Readonly<Record<string, string>>;
  readonly refresh_params?: Readonly<Record<string, string>>;
  readonly token_headers?: Readonly<Record<string, string>>;
  readonly token_request_format?: "form" | "json";
  readonly refresh_url?: string;
  readonly revocation_url?: string;
  readonly token_response_path?: string;
  readonly lifetime_field?: string;
  readonly default_lifetime_seconds?: number;
  readonly omit_pkce?: boolean;
  readonly skip_scope_on_auth?: boolean;
  readonly skip_scope_on_exchange?: boolean;
  readonly callback_metadata?: readonly string[];
  readonly token_metadata?: readonly string[];
  readonly invalid_grant_aliases?: readonly string[];
}

/** One label of a host name, or one segment of a path. */
const labelPattern = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";

/** The template that a valid entry says, what is missing by its default. */
export function templateOf(entry: CatalogueEntry): ProviderTemplate {
  return {
    name: entry.name,
    displayName: entry.display_name,
    settings: settingsOf(entry),
    variables: Object.entries(entry.variables ?? {}).map(([name, variable]) => ({
      name,
      description: variable.description,
      pattern: variable.pattern ?? labelPattern,
      defaultValue: variable.default ?? "",
      example: variable.example,
    })),
    docsUrl: entry.docs_url,
    notes: entry.notes ?? [],
  };
}

function settingsOf(entry: CatalogueEntry): ProviderSettings {
  return {
    name: entry.name,
    authType: entry.auth_type,
    clientId: "",
    tokenEndpointAuthMethod: entry.token_endpoint_auth_method ?? "client_secret_post",
    issuer: entry.issuer ?? "",
    enableDiscovery: entry.enable_discovery ?? false,
    authUrl: entry.auth_url ?? "",
    tokenUrl: entry.token_url ?? "",
    jwksUrl: entry.jwks_url ?? "",
    scopes: entry.scopes ?? [],
    authorizationParams: entry.authorization_params ?? {},
    apiBaseUrl: entry.api_base_url ?? "",
    userInfoEndpoint: entry.user_info_endpoint ?? "",
    description: entry.description ?? entry.display_name,
    category: entry.category,
    refreshWindowMs:
      entry.refresh_window_seconds === undefined ? undefined : entry.refresh_window_seconds * 1000,
    strategy: strategyOf(entry),
    credentialSchema: entry.credential_schema,
    params: {},
    oauth2: optionsOf(entry.oauth2_options ?? {}),
    template: entry.name,
  };
}

/** What is left out is judged with the profile: `query_param` without a name has an error of its own. */
function strategyOf({ auth_type: authType, strategy }: CatalogueEntry): Strategy {
  const { type, ...config } = strategy ?? {
    type: strategiesOfType[authType][0] ?? "header",
    ...(authType === "api_key" ? { value_prefix: "Bearer " } : {}),
  };
  return strategyOfConfig(type, config) as Strategy;
}

function optionsOf(options: EntryOptions): OAuth2Options {
  return {
    scopeSeparator: options.scope_separator ?? plainOAuth2.scopeSeparator,
    tokenParams: options.token_params ?? {},
    refreshParams: options.refresh_params ?? {},
    tokenHeaders: options.token_headers ?? {},
    tokenRequestFormat: options.token_request_format ?? "form",
    refreshUrl: options.refresh_url ?? "",
    revocationUrl: options.revocation_url ?? "",
    tokenResponsePath: options.token_response_path ?? "",
    lifetimeField: options.lifetime_field ?? "",
    defaultLifetimeMs:
      options.default_lifetime_seconds === undefined ? undefined : options.default_lifetime_seconds * 1000,
    omitPkce: options.omit_pkce ?? false,
    skipScopeOnAuth: options.skip_scope_on_auth ?? false,
    skipScopeOnExchange: options.skip_scope_on_exchange ?? false,
    callbackMetadata: options.callback_metadata ?? [],
    tokenMetadata: options.token_metadata ?? [],
    invalidGrantAliases: options.invalid_grant_aliases ?? [],
  };
}
