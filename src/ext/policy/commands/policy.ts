import { Command } from "commander";
import {
  addAddressFlags,
  addDaemonFlags,
  addNotes,
  type DaemonFlags,
  parseSince,
  type Shell,
} from "../../../cli/kit.js";
import type { RecordFlags } from "./policy_record.js";
import type { ExplainFlags } from "./policy_run.js";

const notes = [
  "A resource is connection:<id>, user:<id> and provider:<name>, with commas between. Without one the answer is what the principal may of the action at all. A principal can be long, such as jwt:system:serviceaccount:agents:research; an action can be an RPC, such as TokenService/GetToken.",
  "With --policy, nexusd asks the file instead of a daemon. It then knows only the connection in --resource, and of a key only what the file contains, not the role of its record.",
];

const testNotes = [
  "A case has principal, provider, user, request (as 'GET https://api.github.com/user'), headers, body and expect: allow, ask, deny, or use-egress for one without a request, which asks for the token itself. The command ends with 1 when a case comes out otherwise.",
];

/** What a command does is loaded when it is run: a YAML parser is not worth the wait of all others. */
export function policyCommand(shell: Shell): Command {
  const explain = new Command("explain")
    .description("show the decision of the policy, and the rule that decides")
    .requiredOption("--principal <name>", "who: owner, admin, key:..., cert:..., jwt:..., uid:...")
    .requiredOption(
      "--action <action>",
      "an action, such as token.read, or an RPC, such as TokenService/GetToken",
    )
    .option("--resource <resource>", "the object of the action")
    .option(
      "--request <line>",
      "also evaluate the rules for a request, such as 'POST https://api.github.com/repos/acme/app/issues'",
    )
    .option("--policy <file>", "query this file instead of the daemon")
    .option("--exit-code", "exit with 1 if denied");
  addDaemonFlags(addNotes(explain, ...notes)).action(async (flags: ExplainFlags) => {
    const { explainAccess } = await import("./policy_run.js");
    await explainAccess(shell, flags);
  });
  const check = new Command("check")
    .description("check a policy file, and the names of providers in it if a daemon answers")
    .argument("<file>", "YAML or JSON");
  addAddressFlags(check).action(async (file: string, flags: DaemonFlags) => {
    const { checkPolicy } = await import("./policy_run.js");
    await checkPolicy(shell, file, flags);
  });
  const test = new Command("test")
    .description("test the rules of a policy file with a table of requests, without a daemon")
    .argument("<file>", "the table: YAML with policy and cases");
  addNotes(test, ...testNotes).action(async (file: string) => {
    const { testPolicy } = await import("./policy_cases.js");
    await testPolicy(shell, file);
  });
  const commands = [explain, check, test, suggestCommand(shell), replayCommand(shell)];
  return commands.reduce((parent, command) => parent.addCommand(command), new Command("policy"));
}

const recordNotes = [
  "The daemon records requests if NEXUS_RECORD_REQUESTS is true: method, host, and path, with ids replaced.",
];

function suggestCommand(shell: Shell): Command {
  const command = new Command("suggest").description(
    "print a policy file that allows exactly the requests that were recorded",
  );
  const suggest = addRecordFlags(shell, addNotes(command, ...recordNotes));
  return addAddressFlags(suggest).action(async (flags: RecordFlags) => {
    const { suggestPolicy } = await import("./policy_record.js");
    await suggestPolicy(shell, flags);
  });
}

function replayCommand(shell: Shell): Command {
  const command = new Command("replay")
    .description("judge the requests that were recorded with another policy file")
    .argument("<file>", "YAML or JSON");
  addNotes(
    command,
    ...recordNotes,
    "It judges an example of each template, without headers, query, and body, in a session without labels, and marks with ! what would no longer be allowed. Then it ends with 1.",
  );
  return addDaemonFlags(addRecordFlags(shell, command)).action(async (file: string, flags: RecordFlags) => {
    const { replayPolicy } = await import("./policy_record.js");
    await replayPolicy(shell, file, flags);
  });
}

function addRecordFlags(shell: Shell, command: Command): Command {
  return command
    .option(
      "--since <time>",
      "only what was seen since then: 90m, 2d, yesterday, or 2026-11-24T15:40:00Z",
      (text) => parseSince(text, shell.clock.nowMs()),
    )
    .option("--principal <name>", "only requests of this agent, such as key:claude")
    .option("--provider <name>", "only requests to this provider");
}
