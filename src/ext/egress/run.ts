import { Command, InvalidArgumentError, Option } from "commander";
import { CommandFailure, usageFailure } from "../../cli/shell/command_failure.js";
import { addAddressFlags } from "../../cli/shell/daemon_command.js";
import { addNotes } from "../../cli/shell/help.js";
import { collect, collectPair, parseDurationMs } from "../../cli/shell/option_values.js";
import type { Shell } from "../../cli/shell/shell.js";
import { type EgressNetwork, egressNetwork } from "../../config/rows/egress_settings.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import type { NamedRoute } from "./proxy/routes.js";
import type { RunFlags } from "./run_flags.js";

export function runCommand(shell: Shell): Command {
  const command = new Command("run")
    .description(
      "run a program that calls APIs without holding a credential: each request gets it on its way",
    )
    .argument("<command...>", "the program and its arguments, after --")
    .option("--user <id>", "whose connections it uses (default: the name of the user at this machine)")
    .option(
      "--allow <provider[=label]>",
      "only this provider; can be given again (default: every provider that has an API base URL or API hosts)",
      collectAllowed,
    )
    .option("--read-only", "only requests that read: GET, HEAD and OPTIONS")
    .option("--method <method>", "only requests with this method; can be given again", collect)
    .option(
      "--path <path>",
      "only requests to this path; /repos/acme/* is all below; can be given again",
      collect,
    )
    .addOption(
      new Option(
        "--network <where>",
        "other hosts: open, providers (none), or names of hosts separated by commas",
      )
        .default("open" as EgressNetwork, "open, and providers with --isolate")
        .argParser(parseNetwork),
    )
    .option(
      "--isolate",
      "no network but the proxy, and no files but the system's and this folder (bubblewrap)",
    )
    .option(
      "--share <path>",
      "with --isolate, a further file or folder to read and write; can be given again",
      collect,
    )
    .option("--for <duration>", "how long it may send requests, as 8h", parseDurationMs)
    .option(
      "--placeholder <name=provider>",
      "a variable for a tool that does not start without one; it holds no credential; can be given again",
      collectPair,
    )
    .addOption(new Option("--relay <socket>").hideHelp())
    .option("--wait-for-consent", "hold a request until the user has consented, in place of answering 403");
  addNotes(
    addAddressFlags(command),
    "Its environment names a proxy of this process and a certificate authority that is good for the hosts of the providers alone; docs/egress.md says which programs read which variable. The exit code is the program's own, as with nexusd exec.",
  );
  return command.action(async (argv: string[], flags: RunFlags) => {
    if (flags.relay !== undefined) return await runBehindRelay(shell, argv, flags.relay);
    if (flags.share && !flags.isolate) throw usageFailure("--share belongs to --isolate");
    const isGiven = command.getOptionValueSource("network") === "cli";
    const network = flags.isolate && !isGiven ? "providers" : flags.network;
    const { runProgram } = await import("./run_program.js");
    await runProgram(shell, argv, { ...flags, network });
  });
}

async function runBehindRelay(shell: Shell, argv: readonly string[], socket: string): Promise<void> {
  const { relayTo } = await import("./isolation.js");
  const relay = await relayTo(socket);
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
