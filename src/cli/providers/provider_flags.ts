import type { MessageInitShape } from "@bufbuild/protobuf";
import { InvalidArgumentError, Option } from "commander";
import { profileComments } from "../../gen/nexus/v1/profile_comments.js";
import type { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { type FieldKind, profileFields } from "../../model/providers/profile_fields.js";
import type { GrantTypeName, TokenEndpointAuthMethod } from "../../model/providers/profile_settings.js";
import { readText } from "../shell/files.js";
import { collectPair, listOption, parseDurationMs } from "../shell/option_values.js";

/**
 * Flags that set a field of a profile, as commander hands them over; one that was not given is undefined. The others are named after
 * their fields: see `flagFields`.
 */
export interface ProfileFlags {
  readonly clientId?: string;
  readonly issuer?: string;
  readonly discovery?: boolean;
  readonly authUrl?: string;
  readonly tokenUrl?: string;
  readonly jwksUrl?: string;
  readonly authMethod?: TokenEndpointAuthMethod;
  readonly grantType?: GrantTypeName;
  readonly clientSecretFile?: string;
  readonly clientKeySource?: string;
}

/** Fields that no flag sets: a file says them, or an argument. */
const withoutFlag = ["name", "auth_type", "template", "mcp_server_url"];
/** Flags that are not called like their field. */
const flagNames: Readonly<Record<string, string>> = {
  token_endpoint_auth_method: "auth-method",
  enable_discovery: "discovery",
  authorization_params: "param",
};
const flagKinds: readonly FieldKind[] = ["text", "flag", "number", "word", "duration", "texts", "text_map"];

/** The fields of a profile that a flag sets, and where commander keeps its value. A duration may be `default`: it is then unset. */
export const flagFields = profileFields
  .filter(({ name, kind }) => flagKinds.includes(kind) && !withoutFlag.includes(name))
  .map((field) => {
    const flag = flagNames[field.name] ?? field.name.replaceAll("_", "-");
    return { field, flag, attribute: new Option(`--${flag}`).attributeName() };
  });

/** What says where a provider is. */
export const endpointFlags = "give --issuer, or --auth-url and --token-url";

/** The flags that `provider add` and `provider update` share. */
export function profileOptions(): Option[] {
  const file = "the file that holds the client secret; - is standard input";
  return [...flagFields.flatMap(optionsOf), new Option("--client-secret-file <file>", file)];
}

function optionsOf({ field, flag }: (typeof flagFields)[number]): Option[] {
  const help = helpOf(field.name);
  switch (field.kind) {
    case "flag":
      return [new Option(`--${flag}`, help), new Option(`--no-${flag}`, "the opposite")];
    case "number":
      return [new Option(`--${flag} <count>`, help).argParser(parseCount)];
    case "word":
      return [new Option(`--${flag} <word>`, help).choices(field.words)];
    case "duration":
      return [
        new Option(`--${flag} <duration>`, `${help}; such as 60s, or default`).argParser((text) =>
          text === "default" ? text : parseDurationMs(text),
        ),
      ];
    case "texts":
      return [listOption(flag, help)];
    case "text_map":
      return [new Option(`--${flag} <name=value>`, `${help}; repeatable`).argParser(collectPair)];
    default:
      if (field.name === "tls_client_certificate")
        return [new Option(`--${flag} <file>`, help).argParser((path) => readText(path, `--${flag}`))];
      return [new Option(`--${flag} <${/url|issuer|endpoint/.test(flag) ? "url" : "text"}>`, help)];
  }
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** The first sentence of the proto's comment. */
function helpOf(name: string): string {
  const comment = profileComments[`Provider.${name}`] ?? "";
  const [sentence = comment] = comment.split(/\.(?= |$)/);
  return sentence.replaceAll("`", "");
}

type ProviderFields = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

/** What the given flags set, and nothing else, with the names of its fields for an update mask. An empty value clears its field. */
export function profileChange(flags: ProfileFlags) {
  const given = flagFields
    .map(({ field, attribute }) => ({
      field,
      value: (flags as Readonly<Record<string, unknown>>)[attribute],
    }))
    .filter(({ value }) => value !== undefined);
  const fields = given
    .filter(({ field, value }) => !(field.kind === "duration" && value === "default"))
    .map(({ field, value }) => [field.descriptor.localName, field.encode(value)]);
  return { fields: Object.fromEntries(fields) as ProviderFields, mask: given.map(({ field }) => field.name) };
}
