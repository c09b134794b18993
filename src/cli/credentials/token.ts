import { Command, Option } from "commander";
import { usageFailure } from "../shell/command_failure.js";
import { addDaemonFlags, type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { listOption, parseDurationMs } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { credentialArgument, providerOf, readCredential } from "./read_credential.js";
import { type FormatContext, formatToken, type TokenFormat, tokenFormats } from "../../ext/credential_helpers/token_formats.js";

type Place = Awaited<ReturnType<FormatContext["readPlace"]>>;

interface TokenFlags extends DaemonFlags {
  readonly minTtl?: number;
  readonly audience?: string;
  readonly resource?: string;
  readonly scopes?: readonly string[];
  readonly format?: TokenFormat;
  readonly host?: string;
}

export function tokenCommand(shell: Shell): Command {
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
    .addOption(new Option("--format <format>", "output format (default: plain)").choices(tokenFormats))
    .option(
      "--host <host>",
      "host of the netrc or npmrc line (default: that of the provider's API base URL)",
    );
  return addDaemonFlags(command).action((name: string, flags: TokenFlags) => {
    const format = formatOf(flags);
    return withDaemon(shell, flags, async (session) => {
      const { minTtl: minTtlMs, audience, resource, scopes = [] } = flags;
      const target = { audience, resource, scopes };
      const credential = await readCredential(session, name, { minTtlMs, target });
      const readPlace = async (): Promise<Place> =>
        placeOf(flags.host, async () => (await providerOf(session, credential.connectionId)).apiBaseUrl);
      shell.stdout.write(await formatToken(format, credential, { env: shell.env, readPlace }));
    });
  });
}

function formatOf({ format, json, host }: TokenFlags): TokenFormat {
  if (json && format !== undefined && format !== "json")
    throw usageFailure(`--json and --format ${format} exclude each other`);
  if (host !== undefined && format !== "netrc" && format !== "npmrc")
    throw usageFailure("--host belongs to --format netrc and npmrc");
  if (host !== undefined && !/^[\w.:[\]-]+$/.test(host))
    throw usageFailure("--host must be a host name alone, as github.com");
  return format ?? (json ? "json" : "plain");
}

async function placeOf(host: string | undefined, readApiBaseUrl: () => Promise<string>): Promise<Place> {
  if (host !== undefined) return { hostname: host, registry: `${host}/` };
  const apiBaseUrl = await readApiBaseUrl();
  if (apiBaseUrl === "")
    throw usageFailure("the provider has no API base URL to take the host from: give --host");
  const url = new URL(apiBaseUrl);
  return { hostname: url.hostname, registry: `${url.host}${url.pathname.replace(/\/*$/, "/")}` };
}
