import { InvalidArgumentError, Option } from "commander";
import { TokenEndpointAuthMethod } from "../../gen/nexus/v1/provider_pb.js";
import {
  type TokenEndpointAuthMethod as MethodName,
  tokenEndpointAuthMethods,
} from "../../model/providers/provider_profile.js";
import { parseDurationMs } from "../shell/duration.js";

const methodNumbers: Readonly<Record<MethodName, TokenEndpointAuthMethod>> = {
  client_secret_post: TokenEndpointAuthMethod.CLIENT_SECRET_POST,
  client_secret_basic: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
  none: TokenEndpointAuthMethod.NONE,
};

/** Flags that set a field of a profile, as commander hands them over; one that was not given is undefined. */
export interface ProfileFlags {
  readonly clientId?: string;
  readonly issuer?: string;
  readonly discovery?: boolean;
  readonly authUrl?: string;
  readonly tokenUrl?: string;
  readonly jwksUrl?: string;
  readonly scopes?: string[];
  readonly scope?: string[];
  readonly authMethod?: MethodName;
  readonly param?: Record<string, string>;
  readonly apiBaseUrl?: string;
  readonly userInfoEndpoint?: string;
  readonly description?: string;
  readonly category?: string;
  /** Milliseconds; `default` takes the profile's own window away. */
  readonly refreshWindow?: number | "default";
  readonly clientSecretFile?: string;
}

/** The flags that `provider create` and `provider update` share. */
export function profileOptions(): Option[] {
  return [
    new Option("--client-id <id>", "the client id that the provider gave"),
    new Option("--client-secret-file <file>", "the file that holds the client secret; - is standard input"),
    new Option("--issuer <url>", "the OpenID issuer; endpoints are discovered unless --auth-url is given"),
    new Option("--discovery", "discover the endpoints from the issuer"),
    new Option("--no-discovery", "do not discover the endpoints"),
    new Option("--auth-url <url>", "the authorization endpoint"),
    new Option("--token-url <url>", "the token endpoint"),
    new Option("--jwks-url <url>", "the keys that sign id_tokens, for openid without discovery"),
    new Option("--scopes <list>", "default scopes, separated by commas or spaces").argParser(parseScopes),
    new Option("--scope <scope>", "one default scope; can be given again").argParser(collect),
    new Option("--auth-method <method>", "how the daemon authenticates at the token endpoint").choices(
      tokenEndpointAuthMethods,
    ),
    new Option(
      "--param <name=value>",
      "a parameter of the authorization request; can be given again",
    ).argParser(collectParam),
    new Option("--api-base-url <url>", "the base URL of the provider's API, for agents"),
    new Option("--user-info-endpoint <url>", "the endpoint that names the user"),
    new Option("--description <text>", "text for lists"),
    new Option("--category <text>", "text for lists"),
    new Option(
      "--refresh-window <duration>",
      "how long before its expiry a token is refreshed, as 60s; default: the smaller of 5m and 20 % of its lifetime",
    ).argParser((text) => (text === "default" ? text : parseDurationMs(text))),
  ];
}

/** Takes one more value of a flag that can be given again. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

export function methodNumber(name: MethodName): TokenEndpointAuthMethod {
  return methodNumbers[name];
}

export function methodName(method: TokenEndpointAuthMethod): string {
  return tokenEndpointAuthMethods.find((name) => methodNumbers[name] === method) ?? "";
}

/** The scopes of both flags, each once; undefined when neither was given. */
export function scopesOf(flags: Pick<ProfileFlags, "scopes" | "scope">): string[] | undefined {
  if (flags.scopes === undefined && flags.scope === undefined) return undefined;
  return [...new Set([...(flags.scopes ?? []), ...(flags.scope ?? [])])];
}

function parseScopes(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), ...text.split(/[\s,]+/).filter((scope) => scope !== "")];
}

function collectParam(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must read name=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}
