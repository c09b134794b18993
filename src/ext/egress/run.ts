import { Command, InvalidArgumentError, Option } from "commander";
import {
  addAddressFlags,
  addNotes,
  CommandFailure,
  collect,
  collectPair,
  parseDurationMs,
  type Shell,
  usageFailure,
} from "../../cli/kit.js";
import { canonicalName } from "../../model/providers/providers.js";
import { type EgressNetwork, egressNetwork } from "./proxy/egress_settings.js";
import type { NamedRoute } from "./proxy/routes.js";
import type { RunFlags } from "./run_program.js";

export function runCommand(shell: Shell): Command {
  const command = new Command("run")
    .description("run a program; nexusd adds the credential to its API requests")
    .argument("<command...>", "the program and its arguments, after --")
    .option("--user <id>", "user whose connections it uses (default: your login name)")
    .option(
      "--allow <provider[=label]>",
      "only this provider; repeatable (default: every provider that has an API base URL or API hosts)",
      collectAllowed,
    )
    .option(
      "--read-only",
      "only requests that read: GET, HEAD, OPTIONS, and what the API is known to read by",
    )
    .option("--method <method>", "only requests with this method; repeatable", collect)
    .option(
      "--path <path>",
      "only requests to this path; /repos/acme/* matches all below; repeatable",
      collect,
    )
    .addOption(
      new Option(
        "--network <where>",
        "other hosts: open, providers (none), or host names separated by commas",
      )
        .default("open" as EgressNetwork, "open, and providers with --isolate")
        .argParser(parseNetwork),
    )
    .option(
      "--isolate",
      "only the proxy as network, and only the system's files and this folder (bubblewrap)",
    )
    .option("--share <path>", "with --isolate, also allow this file or folder; repeatable", collect)
    .option("--env <name>", "with --isolate, also pass on this environment variable; repeatable", collect)
    .option("--for <duration>", "stop sending requests after this time, such as 8h", parseDurationMs)
    .option(
      "--placeholder <name=provider>",
      "a variable for a tool that requires one; its value is not a credential; repeatable",
      collectPair,
    )
    .addOption(new Option("--relay <socket>").hideHelp())
    .option("--wait-for-consent", "hold a request until the user consents, instead of returning 403");
  addNotes(
    addAddressFlags(command),
    "Its environment has a proxy of this process and a certificate authority that is valid only for the hosts of the providers; docs/egress.md lists which programs read which variable. The exit code is the program's own, as with nexusd exec.",
  );
  return command.action(async (argv: string[], flags: RunFlags) => {
    if (flags.relay !== undefined) return await runBehindRelay(shell, argv, flags.relay);
    if (flags.share && !flags.isolate) throw usageFailure("--share belongs to --isolate");
    if (flags.env && !flags.isolate)
      throw usageFailure("--env belongs to --isolate: without it, the program has your whole environment");
    const isGiven = command.getOptionValueSource("network") === "cli";
    const network = flags.isolate && !isGiven ? "providers" : flags.network;
    const { runProgram } = await import("./run_program.js");
    await runProgram(shell, argv, { ...flags, network });
  });
}

async function runBehindRelay(shell: Shell, argv: readonly string[], socket: string): Promise<void> {
  const { relayTo } = await import("./isolation/relay.js");
  const relay = await relayTo(socket, (sentence) => shell.stderr.write(`nexusd: ${sentence}\n`));
  const code = await shell.runProgram(argv, shell.env).finally(() => relay.close());
  if (code !== 0) throw new CommandFailure(code, "");
}

function collectAllowed(text: string, before: readonly NamedRoute[] = []): NamedRoute[] {
  const [, name = "", label = ""] = /^([^=]+)(?:=(.*))?$/s.exec(text) ?? [];
  if (name === "") throw new InvalidArgumentError("It must read PROVIDER or PROVIDER=LABEL.");
  return [...before, { providerName: canonicalName(name), label }];
}

function parseNetwork(text: string): EgressNetwork {
  const refuse = (limit: string): never => {
    throw new InvalidArgumentError(`It ${limit}.`);
  };
  return egressNetwork.parse(text, refuse) ?? refuse("cannot be read");
}
