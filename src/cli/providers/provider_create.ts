import type { MessageInitShape } from "@bufbuild/protobuf";
import { loadClientSecret } from "../../config/client_config.js";
import {
  AuthType,
  type CreateProviderRequestSchema,
  type CreateProviderResponse,
} from "../../gen/nexus/v1/provider_pb.js";
import { hasSecretBesideJwt, needsNoSecret, signingGrants } from "../../model/clients/client_proof.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import {
  type AuthType as AuthTypeName,
  authTypes,
  unverifiedIdTokenNote,
} from "../../model/providers/provider_profile.js";
import { usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { fitted } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, printable } from "../shell/text.js";
import { obtainClientSecret } from "./client_secret.js";
import { type ProfileFlags, profileChange } from "./provider_flags.js";
import { printWarnings } from "./provider_words.js";
import { type StrategyFlags, strategyOfFlags } from "./strategy_flags.js";

export const secretNote =
  "The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.";

/** What says where a provider is. */
export const endpointFlags = "give --issuer, or --auth-url and --token-url";

/** Registers a client of a provider that has no template. */
export async function createClient(session: DaemonSession, name: string, flags: ProfileFlags): Promise<void> {
  if (flags.clientId === undefined)
    throw usageFailure("missing --client-id: register a client at the provider first");
  const hasEndpoints = flags.authUrl !== undefined || flags.tokenUrl !== undefined;
  const discovery = flags.discovery ?? (flags.issuer !== undefined && !hasEndpoints);
  const { authUrl, tokenUrl, grantType = "authorization_code" } = flags;
  const isMinted = grantType !== "authorization_code";
  if (!discovery && (tokenUrl === undefined || (authUrl === undefined && !isMinted))) {
    throw usageFailure(isMinted ? "give --issuer or --token-url" : endpointFlags);
  }
  const { fields } = profileChange({ ...flags, discovery });
  const clientSecret = await clientSecretOf(session.shell, flags);
  const provider = { ...fields, name, authType: AuthType.OAUTH2, clientSecret };
  const { authMethod, clientKeySource } = flags;
  const signsByDaemon =
    authMethod === "private_key_jwt" && clientSecret === "" && clientKeySource === undefined;
  const where = `${session.shell.program} client-keys`;
  const keys = signsByDaemon ? `the daemon's own: enter the jwks_uri of ${where} at the provider` : "";
  await register(session, `add the provider ${name}`, { provider }, ({ provider: created, redirectUri }) => [
    ["redirect URI", redirectUri],
    ["keys", keys],
    ["note", (created && unverifiedIdTokenNote(profileSettings(created))) ?? ""],
  ]);
}

/**
 * Registers a provider, and prints what came of it and the next step.
 *
 * @param rows beside name and id
 * @param notes below them
 * @returns the name of the provider
 */
export async function register(
  { shell, daemon, call, show }: DaemonSession,
  doing: string,
  request: MessageInitShape<typeof CreateProviderRequestSchema>,
  rows: (answer: CreateProviderResponse) => [name: string, value: string][],
  notes: readonly string[] = [],
): Promise<string> {
  const answer = await call(doing, daemon.providers.createProvider, request);
  printWarnings(shell, answer);
  const { name = "", id = "" } = answer.provider ?? {};
  show(answer, () => {
    const details = rows(answer);
    const paragraphs = notes.map((note) => `${fitted(printable(note), shell.stdout)}\n`);
    const fields = formatFields([["name", name], ["id", id], ...details]);
    return [fields, ...paragraphs, `${firstStep(details)}: ${shell.program} connect ${name}\n`].join("\n");
  });
  return name;
}

/** Where no person consents there is nothing to register. */
function firstStep(details: readonly (readonly [name: string, value: string])[]): string {
  const redirectUri = details.find(([title]) => title === "redirect URI");
  if (!redirectUri) return "Enter the key";
  return redirectUri[1] === "" ? "Next" : "Paste the redirect URI into the provider's console, then";
}

/** Registers a provider whose key a person enters. */
export async function createStaticProvider(
  session: DaemonSession,
  name: string,
  authType: Exclude<AuthTypeName, "oauth2">,
  flags: ProfileFlags & StrategyFlags,
): Promise<void> {
  if (flags.clientId !== undefined || flags.clientSecretFile !== undefined) {
    throw usageFailure(
      `a provider of type ${authType} has no client: leave --client-id and --client-secret-file out`,
    );
  }
  const strategy = strategyOfFlags(authType, flags);
  const { fields } = profileChange(flags);
  // From 1; 0 is unspecified.
  const number = authTypes.indexOf(authType) + 1;
  const provider = { ...fields, name, authType: number, ...(strategy ? { strategy } : {}) };
  await register(session, `add the provider ${name}`, { provider }, () => [["type", authType]]);
}

/** Empty for a client that needs none, unless it signs, and for one that signs with a key of the daemon or of a file that it names. */
export async function clientSecretOf(shell: Shell, flags: ProfileFlags): Promise<string> {
  const signs = flags.grantType !== undefined && signingGrants.includes(flags.grantType);
  const { authMethod = "", grantType = "" } = flags;
  const proof = { authType: "oauth2", grantType, tokenEndpointAuthMethod: authMethod };
  const hasSecret = hasSecretBesideJwt(proof);
  if (flags.clientKeySource !== undefined && !hasSecret) return "";
  if (needsNoSecret(proof) && !signs) return "";
  const isGiven = flags.clientSecretFile !== undefined || loadClientSecret(shell.env) !== undefined;
  if (flags.authMethod === "private_key_jwt" && !isGiven) return "";
  return (await obtainClientSecret(shell, flags.clientSecretFile)).reveal();
}
