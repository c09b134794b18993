import { Command, Option } from "commander";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { listOption, parseDurationMs } from "../shell/option_values.js";
import type { Shell, TokenFormat } from "../shell/shell.js";
import { jsonLine } from "../shell/text.js";
import { credentialArgument, credentialValue, providerOf, readCredential } from "./read_credential.js";

interface TokenFlags extends DaemonFlags {
  readonly minTtl?: number;
  readonly audience?: string;
  readonly resource?: string;
  readonly scopes?: readonly string[];
  readonly format?: string;
  readonly host?: string;
}

const ownFormats = {
  plain: { write: (credential) => `${credentialValue(credential).value}\n` },
  json: { write: ({ token }) => jsonLine(token) },
} satisfies Readonly<Record<string, TokenFormat>>;

export function tokenCommand(shell: Shell): Command {
  const formats: Readonly<Record<string, TokenFormat>> = Object.assign(
    { ...ownFormats },
    ...shell.extensions.map(({ tokenFormats }) => tokenFormats),
  );
  const ofHosts = Object.keys(formats).filter((name) => formats[name]?.takesHost);
  const command = new Command("token")
    .description("print only the current access token or API key: $(nexusd token github) works")
    .argument("<connection>", credentialArgument)
    .option("--min-ttl <duration>", "minimum remaining lifetime of the token, such as 60s", parseDurationMs)
    .option(
      "--audience <audience>",
      "audience of a downscoped token, which the provider issues for the current token",
    )
    .option("--resource <uri>", "API (resource) of a downscoped token")
    .addOption(listOption("scopes", "the scopes of a downscoped token"))
    .addOption(
      new Option("--format <format>", "output format (default: plain)").choices(Object.keys(formats)),
    );
  if (ofHosts.length > 0)
    command.option(
      "--host <host>",
      `host of the ${ofHosts.join(" or ")} line (default: that of the provider's API base URL)`,
    );
  return addDaemonFlags(command).action((name: string, flags: TokenFlags) => {
    const format = formats[formatOf(flags, ofHosts)] ?? ownFormats.plain;
    return withDaemon(shell, flags, async (session) => {
      const { minTtl: minTtlMs, audience, resource, scopes = [] } = flags;
      const target = { audience, resource, scopes };
      const credential = await readCredential(session, name, { minTtlMs, target });
      const readApiBaseUrl = async () => (await providerOf(session, credential.connectionId)).apiBaseUrl;
      shell.stdout.write(
        await format.write(credential, { env: shell.env, host: flags.host, readApiBaseUrl }),
      );
    });
  });
}

/** @param ofHosts those that `--host` belongs to */
function formatOf({ format, json, host }: TokenFlags, ofHosts: readonly string[]): string {
  if (json && format !== undefined && format !== "json")
    throw usageFailure(`--json and --format ${format} exclude each other`);
  if (host !== undefined && !ofHosts.includes(format ?? ""))
    throw usageFailure(`--host belongs to --format ${ofHosts.join(" and ")}`);
  if (host !== undefined && !/^[\w.:[\]-]+$/.test(host))
    throw usageFailure("--host must be a host name alone, such as github.com");
  return format ?? (json ? "json" : "plain");
}
