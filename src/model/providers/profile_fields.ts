import { create, type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  AuthTypeSchema,
  GrantTypeSchema,
  OAuth2OptionsSchema,
  type Provider,
  ProviderSchema,
  TokenEndpointAuthMethodSchema,
} from "../../gen/nexus/v1/provider_pb.js";
import type { Strategy as StrategyMessage } from "../../gen/nexus/v1/strategy_pb.js";
import { bearerStrategy, type Strategy } from "../credentials/strategy.js";
import {
  type AuthType,
  type GrantTypeName,
  notSettings,
  type OAuth2Options,
  type ProviderSettings,
  type TokenEndpointAuthMethod,
} from "./profile_settings.js";
import { strategyMessage, strategyOf } from "./strategy_message.js";

type ProfileMembers = Record<string, unknown>;

/** How a setting is spelled. */
export type FieldKind =
  | "text"
  | "flag"
  | "number"
  | "word"
  | "duration"
  | "texts"
  | "text_map"
  | "json"
  | "strategy"
  | "options";

/** One setting of a profile, as the descriptor of `nexus.v1.Provider` declares it. */
export interface ProfileField {
  /** In the proto, in JSON and in YAML: `refresh_window`. */
  readonly name: string;
  /** In the settings: `refreshWindowMs`. */
  readonly key: string;
  readonly kind: FieldKind;
  /** Of a word: those that it may be; the first is the default one. */
  readonly words: readonly string[];
  /** Of a setting that nobody gave. */
  readonly fallback: unknown;
  readonly descriptor: DescField;
  /** The value of the message's field; undefined leaves it unset. */
  readonly encode: (setting: unknown) => unknown;
  /** @throws RangeError on the number of an enum that this version does not know */
  readonly decode: (value: unknown) => unknown;
}

const same = (value: unknown): unknown => value;
const copiedList = (list: unknown): unknown => [...(list as string[])];
const copiedMap = (map: unknown): unknown => ({ ...(map as object) });

/** Settings whose keys or defaults are not what the descriptor says. */
const exceptions: Readonly<Record<string, Partial<ProfileField>>> = {
  // RFC 6749 section 3.3 says a space; the empty text stands for it on the wire.
  scope_separator: {
    fallback: " ",
    encode: (text) => (text === " " ? "" : text),
    decode: (text) => (text === "" ? " " : text),
  },
  params: {
    fallback: {},
    encode: (params) => (Object.keys(params as object).length === 0 ? undefined : params),
    decode: (params) => params ?? {},
  },
  oauth2_options: { key: "oauth2" },
};

/** Mean something for `oauth2` alone. */
export const oauth2Fields: readonly string[] = [
  "token_endpoint_auth_method",
  "grant_type",
  "authorization_params",
  "oauth2_options",
];

/** The settings of `nexus.v1.OAuth2Options`, in the order of the proto. */
export const optionFields = fieldsOf(OAuth2OptionsSchema);
/** What a provider does that needs no option: the RFCs' own. */
export const plainOAuth2 = fallbacks(optionFields) as OAuth2Options;
/** The settings of `nexus.v1.Provider`, in the order of the proto. */
export const profileFields = fieldsOf(ProviderSchema);

export const authTypes = wordsOf(AuthTypeSchema) as readonly AuthType[];
export const grantTypes = wordsOf(GrantTypeSchema) as readonly GrantTypeName[];
export const tokenEndpointAuthMethods = wordsOf(
  TokenEndpointAuthMethodSchema,
) as readonly TokenEndpointAuthMethod[];

/** The settings as the served message, without what the daemon adds. */
export function profileMessage(settings: ProviderSettings): Provider {
  const message = create(ProviderSchema);
  const isOAuth2 = settings.authType === "oauth2";
  const used = profileFields.filter(
    ({ name }) => isOAuth2 || !oauth2Fields.includes(name) || name === "authorization_params",
  );
  encodeInto(used, settings, message);
  return message;
}

/** @throws RangeError on the number of an enum that this version does not know */
export function profileSettings(message: Provider): ProviderSettings {
  return decoded(profileFields, message) as ProviderSettings;
}

/** The value of a setting. */
export function settingOf(settings: ProviderSettings | OAuth2Options, { key }: ProfileField): unknown {
  return (settings as ProfileMembers)[key];
}

function encodeInto(fields: readonly ProfileField[], settings: object, message: object): void {
  for (const field of fields) {
    const value = field.encode((settings as ProfileMembers)[field.key]);
    if (value !== undefined) (message as ProfileMembers)[field.descriptor.localName] = value;
  }
}

function decoded(fields: readonly ProfileField[], message: object): object {
  const settings: ProfileMembers = {};
  for (const field of fields) {
    settings[field.key] = field.decode((message as ProfileMembers)[field.descriptor.localName]);
  }
  return settings;
}

function fallbacks(fields: readonly ProfileField[]): object {
  return Object.fromEntries(fields.map(({ key, fallback }) => [key, fallback]));
}

function fieldsOf({ fields }: DescMessage): ProfileField[] {
  const settings = fields.filter(({ name }) => !notSettings.some((other) => other === name));
  return settings.map((descriptor) => {
    const { name, localName } = descriptor;
    const spelling = spellingOf(descriptor);
    const key = spelling.kind === "duration" ? `${localName}Ms` : localName;
    return { name, key, words: [], descriptor, ...spelling, ...exceptions[name] };
  });
}

type Spelling = Pick<ProfileField, "kind" | "fallback" | "encode" | "decode"> & {
  readonly words?: readonly string[];
};

function spellingOf(field: DescField): Spelling {
  switch (field.fieldKind) {
    case "scalar":
      if (field.scalar === ScalarType.UINT32)
        return { kind: "number", fallback: 0, encode: same, decode: same };
      return field.scalar === ScalarType.BOOL
        ? { kind: "flag", fallback: false, encode: same, decode: same }
        : { kind: "text", fallback: "", encode: same, decode: same };
    case "enum":
      return wordSpelling(field.enum);
    case "list":
      return { kind: "texts", fallback: [], encode: copiedList, decode: copiedList };
    case "map":
      return { kind: "text_map", fallback: {}, encode: copiedMap, decode: copiedMap };
    case "message":
      return messageSpelling(field.message);
  }
}

/** The number 0 is the first word. */
function wordSpelling(descriptor: DescEnum): Spelling {
  const values = wordValues(descriptor);
  const words = values.map(({ word }) => word);
  return {
    kind: "word",
    words,
    fallback: words[0],
    encode: (word) => {
      const value = values.find((each) => each.word === word);
      if (value === undefined) throw new RangeError(`${word} is not one of ${words.join(", ")}`);
      return value.number;
    },
    decode: (number) => {
      const value = number === 0 ? values[0] : values.find((each) => each.number === number);
      if (value === undefined) throw new RangeError(`unknown number ${number} of ${descriptor.typeName}`);
      return value.word;
    },
  };
}

/** In the order of their numbers. */
function wordsOf(descriptor: DescEnum): string[] {
  return wordValues(descriptor).map(({ word }) => word);
}

function wordValues({ values }: DescEnum): { readonly word: string; readonly number: number }[] {
  const named = values.filter(({ number }) => number > 0).sort((a, b) => a.number - b.number);
  return named.map(({ localName, number }) => ({ word: localName.toLowerCase(), number }));
}

function messageSpelling(descriptor: DescMessage): Spelling {
  switch (descriptor.typeName) {
    case "google.protobuf.Duration":
      return {
        kind: "duration",
        fallback: undefined,
        encode: (ms) => (ms === undefined ? undefined : durationFromMs(ms as number)),
        decode: (duration) => (duration === undefined ? undefined : durationMs(duration as Duration)),
      };
    case "google.protobuf.Struct":
      return { kind: "json", fallback: undefined, encode: same, decode: same };
    case "nexus.v1.Strategy":
      return {
        kind: "strategy",
        fallback: bearerStrategy,
        encode: (strategy) => strategyMessage(strategy as Strategy),
        decode: (message) => strategyOf(message as StrategyMessage | undefined) ?? bearerStrategy,
      };
    case OAuth2OptionsSchema.typeName:
      return {
        kind: "options",
        fallback: plainOAuth2,
        encode: (options) => {
          const message = create(OAuth2OptionsSchema);
          encodeInto(optionFields, options as object, message);
          return message;
        },
        decode: (message) => (message === undefined ? plainOAuth2 : decoded(optionFields, message as object)),
      };
    default:
      throw new Error(`${descriptor.typeName} is no setting`);
  }
}
