import { loadClientSecret } from "../../config/client_config.js";
import { hasSecretBesideJwt, needsNoSecret, signingGrants } from "../../model/clients/client_proof.js";
import { Secret } from "../../runtime/secret.js";
import { usageFailure } from "../shell/command_failure.js";
import { readText } from "../shell/files.js";
import type { Shell } from "../shell/shell.js";
import type { ProfileFlags } from "./provider_flags.js";

/**
 * The client secret of a new profile: from the file, the environment, or a prompt without echo. Empty for a client that needs none, unless
 * it signs, and for one that signs with a key of the daemon or of a file that it names.
 *
 * @throws CommandFailure when there is no way to it
 */
export async function newClientSecret(shell: Shell, flags: ProfileFlags): Promise<string> {
  const { authMethod = "", grantType = "", clientKeySource, clientSecretFile: file } = flags;
  const proof = { authType: "oauth2", grantType, tokenEndpointAuthMethod: authMethod };
  if (clientKeySource !== undefined && !hasSecretBesideJwt(proof)) return "";
  if (needsNoSecret(proof) && !signingGrants.some((type) => type === grantType)) return "";
  const given = file === undefined ? loadClientSecret(shell.env) : await readClientSecret(shell, file);
  if (given) return given.reveal();
  if (authMethod === "private_key_jwt") return "";
  if (!shell.stdin.isTTY) {
    throw usageFailure(
      "missing client secret: use --client-secret-file (- is standard input), or set NEXUS_CLIENT_SECRET; for a public client, use --auth-method none",
    );
  }
  return (await ask(shell)).reveal();
}

/** Reads a secret file; `-` is standard input, and asks a person who sits there. The line end is no part of it. */
export async function readClientSecret(shell: Shell, file: string): Promise<Secret> {
  if (file !== "-") return checked(readText(file, "--client-secret-file"), file);
  if (shell.stdin.isTTY) return await ask(shell);
  return checked(await shell.stdin.readAll(), "standard input");
}

async function ask({ stdin }: Shell): Promise<Secret> {
  return checked(await stdin.ask("Client secret: ", { echo: false }), "the answer");
}

function checked(text: string, origin: string): Secret {
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw usageFailure(`the client secret is empty: ${origin} holds nothing`);
  // A private key as PEM, or a JWK or key file, has lines.
  const isKey = /^\s*(-----BEGIN |\{)/.test(value);
  if (/[\r\n]/.test(value) && !isKey)
    throw usageFailure(`the client secret must be one line: ${origin} holds more`);
  return new Secret(value);
}
