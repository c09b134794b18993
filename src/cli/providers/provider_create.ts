import { Code } from "@connectrpc/connect";
import { AuthType, type Provider, type ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import {
  type AuthType as AuthTypeName,
  authTypes,
  unverifiedIdTokenNote,
} from "../../model/providers/provider_profile.js";
import { withStep } from "../shell/call_failure.js";
import { usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { fitted } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, printable } from "../shell/text.js";
import { newClientSecret } from "./client_secret.js";
import { endpointFlags, type ProfileFlags, profileChange } from "./provider_flags.js";
import type { AddAnswers } from "./provider_questions.js";
import { isOAuth2, pkceWord, printWarnings, typeName } from "./provider_words.js";
import { type StrategyFlags, strategyOfFlags } from "./strategy_flags.js";

/** A provider that is to be added. */
export interface NewProvider {
  /** Undefined for one with endpoints of its own, or with a key. */
  readonly template?: ProviderTemplate;
  /** Empty for the template's. */
  readonly name: string;
  /** Where a template does not say it. */
  readonly authType?: AuthTypeName;
  readonly flags: AddAnswers & StrategyFlags;
  /** For a person who has not read them yet. */
  readonly notes?: readonly string[];
}

/** Registers a provider, and prints it with the next step. @returns its name */
export async function createProvider(session: DaemonSession, added: NewProvider): Promise<string> {
  const { shell, daemon, call, show } = session;
  const { template, flags, notes = [] } = added;
  const profile = await profileOf(shell, added);
  const request = {
    provider: { ...profile, name: added.name },
    template: template?.name ?? "",
    templateVariables: flags.var ?? {},
  };
  const step = `to change it: nexusd provider update ${added.name || template?.name}; to add another: --name NAME`;
  const answer = await withStep(Code.AlreadyExists, step, () =>
    call(`add the provider ${template?.name ?? added.name}`, daemon.providers.createProvider, request),
  );
  const { provider } = answer;
  if (!provider) throw new Error("the daemon answered without a provider");
  printWarnings(shell, answer);
  const { authMethod, clientKeySource } = flags;
  const signsByDaemon =
    authMethod === "private_key_jwt" && profile.clientSecret === "" && clientKeySource === undefined;
  const where = `${shell.program} client-keys`;
  const keys = signsByDaemon ? `the daemon's own: enter the jwks_uri of ${where} at the provider` : "";
  const redirectUri = hasClient(added) ? answer.redirectUri : undefined;
  show(answer, () => {
    const paragraphs = notes.map((note) => `${fitted(printable(note), shell.stdout)}\n`);
    const fields = formatFields(fieldsOf(provider, template, redirectUri, keys));
    const next = `${firstStep(redirectUri)}: ${shell.program} connect ${provider.name}\n`;
    return [fields, ...paragraphs, next].join("\n");
  });
  return provider.name;
}

/** Whether a client is registered at the provider; else a person enters a key. */
function hasClient({ template, authType = "oauth2" }: NewProvider): boolean {
  if (!template) return authType === "oauth2";
  return template.provider !== undefined && isOAuth2(template.provider);
}

/** @throws CommandFailure for flags that do not make a provider */
async function profileOf(shell: Shell, added: NewProvider) {
  const { template, name, flags } = added;
  const authType = template ? "oauth2" : (added.authType ?? "oauth2");
  const isClient = hasClient(added);
  if (!isClient && (flags.clientId !== undefined || flags.clientSecretFile !== undefined))
    throw usageFailure(
      `${template?.name ?? name} has no client: leave --client-id and --client-secret-file out`,
    );
  if (isClient && flags.clientId === undefined)
    throw usageFailure("missing --client-id: register a client at the provider first");
  const strategy = strategyOfFlags(authType, flags);
  const endpoints = isClient && !template ? { discovery: discoveryOf(flags) } : {};
  return {
    ...profileChange({ ...flags, ...endpoints }).fields,
    // From 1; 0 is unspecified.
    authType: template ? AuthType.UNSPECIFIED : authTypes.indexOf(authType) + 1,
    ...(strategy ? { strategy } : {}),
    clientSecret: isClient ? (flags.clientSecret ?? (await newClientSecret(shell, flags))) : "",
  };
}

/** Whether the endpoints come from the issuer. @throws CommandFailure where nothing says them */
function discoveryOf(flags: ProfileFlags): boolean {
  const { issuer, authUrl, tokenUrl, grantType = "authorization_code" } = flags;
  const hasEndpoints = authUrl !== undefined || tokenUrl !== undefined;
  const discovery = flags.discovery ?? (issuer !== undefined && !hasEndpoints);
  const isMinted = grantType !== "authorization_code";
  if (!discovery && (tokenUrl === undefined || (authUrl === undefined && !isMinted)))
    throw usageFailure(isMinted ? "give --issuer or --token-url" : endpointFlags);
  return discovery;
}

/** @param redirectUri undefined where a person enters a key */
function fieldsOf(
  provider: Provider,
  template: ProviderTemplate | undefined,
  redirectUri: string | undefined,
  keys: string,
): [name: string, value: string][] {
  return [
    ["name", provider.name],
    ["id", provider.id],
    ["template", template ? `${template.name}: ${template.displayName}` : ""],
    ["type", redirectUri === undefined ? typeName(provider) : ""],
    ["scopes", provider.scopes.join(" ")],
    ["PKCE", pkceWord(provider) === "omitted" ? "omitted" : ""],
    ["redirect URI", redirectUri ?? ""],
    ["keys", keys],
    ["note", unverifiedIdTokenNote(profileSettings(provider)) ?? ""],
  ];
}

/** Where no person consents there is nothing to register. */
function firstStep(redirectUri: string | undefined): string {
  if (redirectUri === undefined) return "Enter the key";
  return redirectUri === "" ? "Next" : "Paste the redirect URI into the provider's console, then";
}
