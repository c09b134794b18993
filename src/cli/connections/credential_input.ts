import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { usageFailure } from "../shell/command_failure.js";
import { readText } from "../shell/files.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

/**
 * The fields of a static credential: a JSON object in the file or on standard input, or the answers of a person, unseen. Messages
 * never hold what was read.
 *
 * @throws CommandFailure
 */
export async function readCredentialFields(
  shell: Shell,
  provider: Provider,
  file: string | undefined,
): Promise<Record<string, string>> {
  if (file !== undefined && file !== "-") return parseFields(readText(file, "--file"), file);
  if (!shell.stdin.isTTY) return parseFields(await shell.stdin.readAll(), "standard input");
  const fields: Record<string, string> = {};
  const mayBeEmpty = passwordField(provider);
  for (const [name, title] of fieldsToAsk(provider)) {
    const answer = await shell.stdin.ask(`${printable(title)}: `, { echo: false });
    if (answer !== "" || name === mayBeEmpty) fields[name] = answer;
  }
  return fields;
}

/**
 * A refresh token: one line of the file or of standard input, or the answer of a person, unseen. Messages never hold what was read.
 *
 * @throws CommandFailure
 */
export async function readRefreshToken(shell: Shell, file: string | undefined): Promise<string> {
  const text =
    file !== undefined && file !== "-"
      ? readText(file, "--file")
      : shell.stdin.isTTY
        ? await shell.stdin.ask("Refresh token: ", { echo: false })
        : await shell.stdin.readAll();
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw usageFailure("the refresh token is empty");
  if (/[\r\n]/.test(value)) throw usageFailure("the refresh token must be one line");
  return value;
}

function parseFields(text: string, origin: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw usageFailure(`the fields must be a JSON object: ${origin} does not hold one`);
  }
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const fields = isObject ? Object.entries(value as object) : [];
  if (fields.length === 0 || fields.some(([, field]) => typeof field !== "string")) {
    throw usageFailure(`the fields must be a JSON object of strings: ${origin} holds something else`);
  }
  return Object.fromEntries(fields);
}

/** Name and title of each field: of the profile's own schema, or of what its strategy reads. */
function fieldsToAsk(provider: Provider): [string, string][] {
  const properties = provider.credentialSchema?.["properties"];
  if (typeof properties === "object" && properties !== null && !Array.isArray(properties)) {
    return Object.entries(properties).map(([name, property]) => [name, titleOf(property) ?? name]);
  }
  const kind = provider.strategy?.kind;
  switch (kind?.case) {
    case "header":
    case "queryParam":
      return [[kind.value.credentialField, "API key"]];
    case "basicAuth":
      return [
        [kind.value.usernameField, "User name"],
        [kind.value.passwordField, "Password"],
      ];
    case "hmacPayload":
      return [[kind.value.secretField, "API secret"]];
    case "awsSigv4":
      return [
        ["access_key", "Access key ID"],
        ["secret_key", "Secret access key"],
        ["session_token", "Session token (empty for none)"],
      ];
    default:
      throw usageFailure(`${provider.name} has no fields to enter: a person consents again instead`);
  }
}

function titleOf(property: unknown): string | undefined {
  const title =
    typeof property === "object" && property !== null && "title" in property ? property.title : undefined;
  return typeof title === "string" && title !== "" ? title : undefined;
}

function passwordField({ strategy }: Provider): string | undefined {
  return strategy?.kind.case === "basicAuth" ? strategy.kind.value.passwordField : undefined;
}
