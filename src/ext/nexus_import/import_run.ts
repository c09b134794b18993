import {
  CommandFailure,
  type DaemonFlags,
  printable,
  readText,
  type Shell,
  usageFailure,
  withDaemon,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { Secret } from "../../runtime/runtime.js";
import { ConnectionImport } from "./connection_import.js";
import { NexusBroker } from "./nexus_broker.js";
import { readNexusDatabase } from "./nexus_database.js";
import type { ImportOutcome } from "./outcome.js";
import { ProviderImport } from "./provider_import.js";

export interface NexusImportFlags extends DaemonFlags {
  readonly broker: string;
  readonly keyFile: string;
  readonly database?: string;
  readonly databaseFile?: string;
  readonly dryRun?: boolean;
}

/** Reads a Nexus, and makes in the daemon what it lacks, one after the other. */
export async function importNexus(shell: Shell, flags: NexusImportFlags): Promise<void> {
  const broker = new NexusBroker(brokerUrl(shell, flags.broker), new Secret(keyOf(flags.keyFile)));
  const database = databaseUrl(flags);
  await withDaemon(shell, flags, async (session) => {
    await broker.check();
    const records = await readNexusDatabase(database);
    const outcomes: ImportOutcome[] = [];
    const report = (outcome: ImportOutcome): void => {
      outcomes.push(outcome);
      shell.stdout.write(flags.json ? `${JSON.stringify(outcome)}\n` : lineOf(outcome));
    };
    const isDry = flags.dryRun === true;
    const providers = await new ProviderImport(session, isDry).run(records.providers, report);
    await new ConnectionImport({ session, broker, providers, isDry }).run(records.connections, report);
    shell.stderr.write(summaryOf(outcomes, isDry));
    if (outcomes.some(({ result }) => result === "failed"))
      throw new CommandFailure(
        exitCodes.failed,
        "some could not be imported: their lines say why. Mend that, and run this again",
      );
  });
}

function brokerUrl(shell: Shell, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "")
    throw usageFailure("--broker must be an http or https URL, such as http://127.0.0.1:8080");
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "http:" && !isLocal)
    shell.stderr.write(
      "nexusd: warning: --broker is plain http, so that the network between sees every grant: use https, or run this beside the broker\n",
    );
  return url;
}

function keyOf(file: string): string {
  const key = readText(file, "--key-file").trim();
  if (key === "") throw usageFailure(`--key-file: ${file} is empty`);
  return key;
}

/** Every user of the machine sees the arguments of a process. */
function databaseUrl({ database, databaseFile }: NexusImportFlags): string {
  if ((database === undefined) === (databaseFile === undefined))
    throw usageFailure("give --database or --database-file: the PostgreSQL of Nexus");
  const text = database ?? readText(databaseFile ?? "", "--database-file").trim();
  const [, login = ""] = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?/.exec(text) ?? [];
  if (!/^postgres(ql)?:\/\//.test(text))
    throw usageFailure(
      "the URL of the database must begin with postgres://, such as postgres://nexus@127.0.0.1/nexus",
    );
  if (database !== undefined && (login.includes(":") || /[?&]password=/.test(text)))
    throw usageFailure(
      "--database holds a password, which every user of this machine can see: set PGPASSWORD, or write the URL to a file and give --database-file",
    );
  return text;
}

function lineOf({ kind, name, of, result, message }: ImportOutcome): string {
  const whose = of ? ` (${of.provider}, ${of.user})` : "";
  return `${printable(`${result.padEnd(8)} ${kind} ${name}${whose}: ${message}`)}\n`;
}

function summaryOf(outcomes: readonly ImportOutcome[], isDry: boolean): string {
  const count = (kind: ImportOutcome["kind"], ...results: ImportOutcome["result"][]): number =>
    outcomes.filter((each) => each.kind === kind && results.includes(each.result)).length;
  const kinds = [
    `${count("provider", "created")} providers created and ${count("provider", "present")} there before`,
    `${count("connection", "imported")} connections imported and ${count("connection", "present")} there before`,
    `${count("provider", "skipped") + count("connection", "skipped")} skipped`,
    `${count("provider", "failed") + count("connection", "failed")} failed`,
  ];
  return `${isDry ? "nothing was changed; it would be: " : ""}${kinds.join(", ")}\n`;
}
