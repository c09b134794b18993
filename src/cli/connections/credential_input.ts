import { exitCodes } from "../../core/exit_codes.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { type CredentialField, credentialFields } from "../../model/credentials/credential_fields.js";
import type { JsonValue } from "../../model/json.js";
import { isJsonObject, isTextMap } from "../../model/json_fields.js";
import { strategyOf } from "../../model/providers/strategy_message.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { readText } from "../shell/files.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

const maxAttempts = 3;

/**
 * Completes a request of a static type with what a person enters, unseen. Values that the provider or the daemon refuses are asked
 * for again: they leave the request as it was.
 *
 * @param state of the request
 * @throws CommandFailure after the third refusal
 */
export async function captureAtPrompt(
  session: DaemonSession,
  provider: Provider,
  state: string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const credentials = await readCredentialFields(session.shell, provider, undefined);
    try {
      await session.call(
        `take the credential for ${provider.name}`,
        session.daemon.connections.captureCredential,
        { state, credentials },
      );
      return;
    } catch (error) {
      const isRefused = error instanceof CommandFailure && error.exitCode === exitCodes.failed;
      if (!isRefused || attempt === maxAttempts) throw error;
      session.shell.stderr.write(`${error.message}\nEnter it again:\n`);
    }
  }
}

/**
 * The fields of a static credential: a JSON object in the file or on standard input, or the only field as it is, or the answers of a
 * person, unseen. Messages never hold what was read.
 */
export async function readCredentialFields(
  shell: Shell,
  provider: Provider,
  file: string | undefined,
): Promise<Record<string, string>> {
  if (file !== undefined && file !== "-") return parseFields(readText(file, "--file"), file, provider);
  if (!shell.stdin.isTTY) return parseFields(await shell.stdin.readAll(), "standard input", provider);
  const fields: Record<string, string> = {};
  const read = fieldsRead(provider);
  for (const [name, title] of fieldsToAsk(provider)) {
    const answer = await shell.stdin.ask(`${printable(title)}: `, { echo: false });
    const mayBeEmpty = read.some((field) => field.name === name && field.mayBeEmpty);
    if (answer !== "" || mayBeEmpty) fields[name] = answer;
  }
  return fields;
}

/** A token: one line of the file or of standard input, or the answer of a person, unseen. Messages never hold what was read. */
export async function readTokenLine(
  shell: Shell,
  file: string | undefined,
  what: "refresh token" | "access token",
): Promise<string> {
  const text =
    file !== undefined && file !== "-"
      ? readText(file, "--file")
      : shell.stdin.isTTY
        ? await shell.stdin.ask(`${what[0]?.toUpperCase()}${what.slice(1)}: `, { echo: false })
        : await shell.stdin.readAll();
  return oneLine(text, what);
}

function oneLine(text: string, what: string): string {
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw usageFailure(`the ${what} is empty`);
  if (/[\r\n]/.test(value)) throw usageFailure(`the ${what} must be one line`);
  return value;
}

function parseFields(text: string, origin: string, provider: Provider): Record<string, string> {
  const names = fieldNames(provider);
  const [only = ""] = names;
  if (names.length === 1 && !/^\s*[[{]/.test(text)) return { [only]: oneLine(text, only) };
  const example = `{${names.map((name) => `${JSON.stringify(name)}: "..."`).join(", ")}}`;

  let value: JsonValue;
  try {
    value = JSON.parse(text);
  } catch {
    throw usageFailure(
      printable(`the fields must be a JSON object, such as ${example}: ${origin} does not hold one`),
    );
  }
  if (isTextMap(value) && Object.keys(value).length > 0) return value;
  throw usageFailure(
    printable(
      `the fields must be a JSON object of strings, such as ${example}: ${origin} holds something else`,
    ),
  );
}

/** Name and title of each field: of the profile's own schema, or of what its strategy reads. */
function fieldsToAsk(provider: Provider): [string, string][] {
  const properties = provider.credentialSchema?.["properties"];
  if (isJsonObject(properties)) {
    return Object.entries(properties).map(([name, property]) => [name, titleOf(property) ?? name]);
  }
  const read = fieldsRead(provider);
  if (read.length === 0)
    throw usageFailure(`${provider.name} has no fields to enter: a person consents again instead`);
  return read.map(({ name, title, isOptional }) => [name, isOptional ? `${title} (empty for none)` : title]);
}

/** Empty of a profile that has no fields. */
function fieldNames(provider: Provider): string[] {
  const properties = provider.credentialSchema?.["properties"];
  return isJsonObject(properties) ? Object.keys(properties) : fieldsRead(provider).map(({ name }) => name);
}

/** What the strategy of the profile reads. */
function fieldsRead(provider: Provider): readonly CredentialField[] {
  const strategy = strategyOf(provider.strategy);
  return strategy ? credentialFields(strategy) : [];
}

function titleOf(property: JsonValue): string | undefined {
  const title = isJsonObject(property) ? property["title"] : undefined;
  return typeof title === "string" && title !== "" ? title : undefined;
}
