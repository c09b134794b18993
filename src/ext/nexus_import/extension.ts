import { Command } from "commander";
import { addDaemonFlags, addNotes, type Shell } from "../../cli/kit.js";
import type { Extension } from "../../core/registry.js";
import type { NexusImportFlags } from "./import_run.js";

/** Moves providers, connections and grants of a Nexus into the daemon: `nexusd import nexus`. */
export const nexusImport: Extension = {
  name: "nexus_import",
  commands: [
    {
      group: "Get started",
      name: "import",
      summary: "import everything from a running Nexus",
      examples: {
        nexus: "--broker http://127.0.0.1:8080 --key-file nexus.key --database-file nexus.url",
      },
      make: importCommand,
    },
  ],
};

function importCommand(shell: Shell): Command {
  const nexus = new Command("nexus")
    .description(
      "import the providers, connections, and grants of a running Nexus, with the ids of its connections",
    )
    .requiredOption("--broker <url>", "URL of the broker, such as http://127.0.0.1:8080")
    .requiredOption("--key-file <file>", "file with the broker's API key")
    .option(
      "--database <url>",
      "its PostgreSQL, without a password: postgres://nexus@HOST/nexus; PGPASSWORD may hold one",
    )
    .option("--database-file <file>", "file with that URL, which may hold a password")
    .option("--dry-run", "say what would be done")
    .action(async (flags: NexusImportFlags) => {
      const { importNexus } = await import("./import_run.js");
      await importNexus(shell, flags);
    });
  addDaemonFlags(
    addNotes(
      nexus,
      "Stop the clients of Nexus before, and Nexus afterwards: a provider that rotates refresh tokens ends a grant that two programs use. You can run it again: it leaves what is there.",
    ),
  );
  return new Command("import").addCommand(nexus);
}
