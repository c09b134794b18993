import { Command } from "commander";
import { loadClientSecret } from "../../config/client_config.js";
import { AuthType } from "../../gen/nexus/v1/provider_pb.js";
import { hasSecretBesideJwt, needsNoSecret, signingGrants } from "../../model/clients/client_proof.js";
import { isUnattended } from "../../model/providers/grant_type.js";
import { profileSettings } from "../../model/providers/profile_fields.js";
import {
  type AuthType as AuthTypeName,
  authTypes,
  unverifiedIdTokenNote,
} from "../../model/providers/provider_profile.js";
import { usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { addNotes } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields } from "../shell/text.js";
import { obtainClientSecret } from "./client_secret.js";
import { type ProfileFlags, profileChange, profileOptions } from "./provider_flags.js";
import { printWarnings } from "./provider_words.js";
import { type StrategyFlags, strategyOfFlags, strategyOptions } from "./strategy_flags.js";

export const secretNote =
  "The client secret is read from --client-secret-file, from NEXUS_CLIENT_SECRET or from a prompt, never from an argument.";

type Flags = ProfileFlags & StrategyFlags & DaemonFlags;

export function providerCreateCommand(shell: Shell): Command {
  const command = new Command("create")
    .description("register a provider that the catalogue lacks")
    .argument("<name>", "lower-case letters, digits and inner hyphens");
  for (const option of [...profileOptions(), ...strategyOptions()]) command.addOption(option);
  addNotes(command, secretNote);
  return daemonCommand(shell, command, (session, flags: Flags, name: string) => {
    const { authType = "oauth2" } = flags;
    if (authType !== "oauth2") return createStaticProvider(session, name, authType, flags);
    strategyOfFlags("oauth2", flags);
    return createClient(session, name, flags);
  });
}

async function createClient(session: DaemonSession, name: string, flags: ProfileFlags): Promise<void> {
  if (flags.clientId === undefined) throw usageFailure("--client-id is needed");
  const hasEndpoints = flags.authUrl !== undefined || flags.tokenUrl !== undefined;
  const discovery = flags.discovery ?? (flags.issuer !== undefined && !hasEndpoints);
  const { authUrl, tokenUrl, grantType = "authorization_code" } = flags;
  const isMinted = isUnattended({ authType: "oauth2", grantType });
  if (!discovery && (tokenUrl === undefined || (authUrl === undefined && !isMinted))) {
    throw usageFailure(
      isMinted ? "give --issuer or --token-url" : "give --issuer, or --auth-url and --token-url",
    );
  }
  const { fields } = profileChange({ ...flags, discovery });
  const clientSecret = await clientSecretOf(session.shell, flags);
  const provider = { ...fields, name, authType: AuthType.OAUTH2, clientSecret };
  const answer = await session.call(`create the provider ${name}`, session.daemon.providers.createProvider, {
    provider,
  });
  printWarnings(session.shell, answer);
  const created = answer.provider;
  const fieldsShown: [string, string][] = [
    ["name", created?.name ?? ""],
    ["id", created?.id ?? ""],
    ["redirect URI", answer.redirectUri],
  ];
  const { authMethod, clientKeySource } = flags;
  if (authMethod === "private_key_jwt" && clientSecret === "" && clientKeySource === undefined) {
    const where = `${session.shell.program} client-keys`;
    fieldsShown.push(["keys", `the daemon's own: enter the jwks_uri of ${where} at the provider`]);
  }
  const note = created && unverifiedIdTokenNote(profileSettings(created));
  if (note !== undefined) fieldsShown.push(["note", note]);
  session.show(
    answer,
    () =>
      `${formatFields(fieldsShown)}\n${firstStep(answer.redirectUri)}: ${session.shell.program} connect ${created?.name}\n`,
  );
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
  const answer = await session.call(`add the provider ${name}`, session.daemon.providers.createProvider, {
    provider,
  });
  printWarnings(session.shell, answer);
  const created = answer.provider;
  session.show(
    answer,
    () =>
      `${formatFields([
        ["name", created?.name ?? ""],
        ["id", created?.id ?? ""],
        ["type", authType],
      ])}\nEnter the key: ${session.shell.program} connect ${created?.name}\n`,
  );
}

/** Where no person consents there is nothing to register. */
export function firstStep(redirectUri: string): string {
  return redirectUri === "" ? "Next" : "Paste the redirect URI into the provider's console, then";
}

/** Empty for a client that needs none, unless it signs, and for one that signs with a key of the daemon or of a file that it names. */
export async function clientSecretOf(shell: Shell, flags: ProfileFlags): Promise<string> {
  const signs = flags.grantType !== undefined && signingGrants.includes(flags.grantType);
  const { authMethod = "", grantType = "" } = flags;
  const hasSecret = hasSecretBesideJwt({ grantType, tokenEndpointAuthMethod: authMethod });
  if (flags.clientKeySource !== undefined && !hasSecret) return "";
  if (needsNoSecret({ tokenEndpointAuthMethod: authMethod }) && !signs) return "";
  const isGiven = flags.clientSecretFile !== undefined || loadClientSecret(shell.env) !== undefined;
  if (flags.authMethod === "private_key_jwt" && !isGiven) return "";
  return (await obtainClientSecret(shell, flags.clientSecretFile)).reveal();
}
