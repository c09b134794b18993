import type { Message } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type {
  ActorToken as ActorTokenEnum,
  AuthType as AuthTypeEnum,
  ClientAssertionAudience as ClientAssertionAudienceEnum,
  ClientAssertionType as ClientAssertionTypeEnum,
  DpopMode as DpopModeEnum,
  GrantType as GrantTypeEnum,
  OAuth2Options as OAuth2OptionsMessage,
  Provider,
  ResourceParameter as ResourceParameterEnum,
  TokenEndpointAuthMethod as TokenEndpointAuthMethodEnum,
  TokenExchange as TokenExchangeEnum,
  TokenRequestFormat as TokenRequestFormatEnum,
} from "../../gen/nexus/v1/provider_pb.js";
import type { Strategy as StrategyMessage } from "../../gen/nexus/v1/strategy_pb.js";
import type { Strategy } from "../credentials/strategy.js";
import type { JsonObject } from "../json.js";

/** Fields of `nexus.v1.Provider` that are no settings: the daemon gives them, or keeps them apart. By their names in the proto. */
export const notSettings = [
  "id",
  "client_secret",
  "client_secret_set",
  "created_at",
  "updated_at",
  "etag",
  "redirect_uri",
  "client_registration",
] as const;
type NotSettings =
  | "id"
  | "clientSecret"
  | "clientSecretSet"
  | "createdAt"
  | "updatedAt"
  | "etag"
  | "redirectUri"
  | "clientRegistration";

/** `client_secret_post` of `CLIENT_SECRET_POST`. */
type Word<Enum> = Lowercase<Exclude<keyof Enum, "UNSPECIFIED" | number> & string>;

export type AuthType = Word<typeof AuthTypeEnum>;
/** RFC 7591 section 2. */
export type GrantTypeName = Word<typeof GrantTypeEnum>;
/** RFC 7591 section 2. */
export type TokenEndpointAuthMethod = Word<typeof TokenEndpointAuthMethodEnum>;
/** RFC 9449. */
export type DpopMode = Word<typeof DpopModeEnum>;

/** A field of a message as a setting. A number comes first: each would pass for one of an enum. */
type SettingOfField<Value> = `${number}` extends `${Value & number}` ? number : OtherSetting<Value>;
type OtherSetting<Value> = [Value] extends [boolean]
  ? boolean
  : [Value] extends [AuthTypeEnum]
    ? AuthType
    : [Value] extends [GrantTypeEnum]
      ? GrantTypeName
      : [Value] extends [ClientAssertionAudienceEnum]
        ? Word<typeof ClientAssertionAudienceEnum>
        : [Value] extends [ClientAssertionTypeEnum]
          ? Word<typeof ClientAssertionTypeEnum>
          : [Value] extends [TokenEndpointAuthMethodEnum]
            ? TokenEndpointAuthMethod
            : [Value] extends [TokenRequestFormatEnum]
              ? Word<typeof TokenRequestFormatEnum>
              : [Value] extends [ResourceParameterEnum]
                ? Word<typeof ResourceParameterEnum>
                : [Value] extends [TokenExchangeEnum]
                  ? Word<typeof TokenExchangeEnum>
                  : [Value] extends [ActorTokenEnum]
                    ? Word<typeof ActorTokenEnum>
                    : [Value] extends [DpopModeEnum]
                      ? DpopMode
                      : Value extends Duration
                        ? number | undefined
                        : Value extends StrategyMessage
                          ? Strategy
                          : Value extends OAuth2OptionsMessage
                            ? OAuth2Options
                            : Value extends readonly (infer Item)[]
                              ? readonly Item[]
                              : Value extends { [key: string]: string }
                                ? Readonly<Value>
                                : Value;

/** `Ms` after the name of a duration. */
type Key<Name extends string, Value> = Value extends Duration ? `${Name}Ms` : Name;

type SettingsOf<M extends Message, Left extends string = never> = {
  readonly [Name in Exclude<keyof M & string, keyof Message | Left> as Key<
    Name,
    NonNullable<M[Name]>
  >]-?: SettingOfField<NonNullable<M[Name]>>;
};

/** `nexus.v1.OAuth2Options`, which explains each: durations in milliseconds, enums as words. */
export type OAuth2Options = SettingsOf<OAuth2OptionsMessage>;

/**
 * What a caller can set: the fields of `nexus.v1.Provider`, which explains each. Durations are in milliseconds, enums words, and
 * what is unset has its default.
 */
export interface ProviderSettings
  extends SettingsOf<Provider, NotSettings | "oauth2Options" | "credentialSchema"> {
  readonly oauth2: OAuth2Options;
  /** Undefined means the default one of the type. */
  readonly credentialSchema: JsonObject | undefined;
}
