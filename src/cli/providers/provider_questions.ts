import { exitCodes } from "../../core/exit_codes.js";
import type { ProviderTemplate } from "../../gen/nexus/v1/provider_pb.js";
import { needsNoSecret } from "../../model/clients/client_proof.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { searchTemplates } from "../../model/template_search.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { fitted } from "../shell/help.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, printable } from "../shell/text.js";
import { endpointFlags, type ProfileFlags } from "./provider_flags.js";
import { allProviders, listTemplates } from "./provider_key.js";
import { isOAuth2, typeName } from "./provider_words.js";

/** What a profile is made of, beside its template. */
export interface AddFlags extends ProfileFlags {
  readonly name?: string;
  readonly var?: Record<string, string>;
  readonly scopes?: readonly string[];
}

/** Answers, in the form of the flags that they stand for. */
export interface AddAnswers extends AddFlags {
  /** Undefined where no client needs one. */
  readonly clientSecret?: string;
}

/** Lets a person look for a template. @throws CommandFailure when the person gives up */
export async function askForTemplate(session: DaemonSession): Promise<string> {
  const templates = await listTemplates(session, "", "add a provider");
  const nameWidth = Math.max(0, ...templates.map(({ name }) => name.length));
  const template = await session.shell.stdin.search("Which provider? Type to search:", {
    find: (query) => searchTemplates(templates, query),
    lineOf: ({ name, displayName, provider }) => {
      const type = provider && !isOAuth2(provider) ? ` (${typeName(provider)})` : "";
      return printable(`${name.padEnd(nameWidth)}  ${displayName}${type}`);
    },
  });
  if (template) return template.name;
  throw new CommandFailure(
    exitCodes.failed,
    `nothing was added. For a provider that is not in the catalogue, ${endpointFlags}`,
  );
}

/** Asks for what the flags leave open, after a word on where the answers are found. */
export async function askForProfile(
  session: DaemonSession,
  template: ProviderTemplate,
  flags: AddFlags,
): Promise<AddAnswers> {
  const ask = async (question: string): Promise<string> =>
    (await session.shell.stdin.ask(`${printable(question)}: `, { echo: true })).trim();
  const taken = new Set((await allProviders(session)).map(({ name }) => name));
  let name = flags.name;
  if (name === undefined && taken.has(template.name)) {
    do name = canonicalName(await ask(`There is a provider ${template.name}. A name for this one`));
    while (name === "" || taken.has(name));
  }
  session.shell.stderr.write(`\n${about(session.shell, template, name)}\n`);
  const variables: Record<string, string> = { ...flags.var };
  for (const { name: variable, description, defaultValue } of template.variables) {
    if (variables[variable] !== undefined) continue;
    const answer = await ask(
      `${description} (${variable})${defaultValue === "" ? "" : ` [${defaultValue}]`}`,
    );
    if (answer !== "") variables[variable] = answer;
  }
  const named = { ...flags, ...(name === undefined ? {} : { name }), var: variables };
  if (!template.provider || !isOAuth2(template.provider)) return named;
  return await askForClient(session.shell, template.provider.scopes, named, ask);
}

async function askForClient(
  shell: Shell,
  scopes: readonly string[],
  flags: AddFlags,
  ask: (question: string) => Promise<string>,
): Promise<AddAnswers> {
  let { clientId = "" } = flags;
  while (clientId === "") clientId = await ask("Client id");
  const hasNoSecret = needsNoSecret({ tokenEndpointAuthMethod: flags.authMethod ?? "" });
  const needsSecret = !hasNoSecret && flags.clientSecretFile === undefined;
  const question = "Client secret (it is not shown; empty for a public client): ";
  const secret = needsSecret ? (await shell.stdin.ask(question, { echo: false })).trim() : "";
  const authMethod = needsSecret && secret === "" ? ({ authMethod: "none" } as const) : {};
  const answer = flags.scopes === undefined ? await ask(`Scopes [${scopes.join(" ") || "none"}]`) : "";
  const wanted = answer === "" ? {} : { scopes: answer.split(/[\s,]+/) };
  return { ...flags, clientId, ...authMethod, ...wanted, ...(secret === "" ? {} : { clientSecret: secret }) };
}

/** Where a person finds what is asked for, and what the provider wants to know. */
function about({ stderr }: Shell, template: ProviderTemplate, name: string | undefined): string {
  const { provider, displayName, docsUrl, notes } = template;
  const usesConsent = provider !== undefined && isOAuth2(provider);
  const type = provider && !usesConsent ? typeName(provider) : "";
  const fields = formatFields([
    ["provider", `${displayName}${type === "" ? "" : ` (${type}: there is no client to register)`}`],
    ["documentation", docsUrl],
    ["redirect URI", usesConsent ? (redirectUriOf(template, name) ?? "") : ""],
  ]);
  const register = usesConsent
    ? "Register a client at the provider with this redirect URI, character by character.\n"
    : "";
  return [fields, ...notes.map((note) => `${fitted(printable(note), stderr)}\n`), register]
    .filter((part) => part !== "")
    .join("\n");
}

/** Of a profile of this name; undefined when only the daemon knows. */
function redirectUriOf(template: ProviderTemplate, name: string | undefined): string | undefined {
  if (name === undefined || name === template.name) return template.redirectUri;
  const end = `/${template.name}`;
  return template.redirectUri.endsWith(end)
    ? `${template.redirectUri.slice(0, -end.length)}/${name}`
    : undefined;
}
