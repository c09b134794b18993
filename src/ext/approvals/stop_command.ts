import { Command, InvalidArgumentError } from "commander";
import {
  addNotes,
  type ConfirmedFlags,
  confirm,
  daemonCommand,
  formatAge,
  printable,
  type Shell,
  usageFailure,
} from "../../cli/kit.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { endKeys } from "./grants.js";

interface StopFlags extends ConfirmedFlags {
  readonly lift?: boolean;
}

const note =
  "An agent without an API key is named as in the audit log: jwt:SUBJECT, cert:NAME, or uid:NUMBER. It is refused until you lift the stop, even if its JWT or certificate is valid. A revoked key is revoked for good.";

export function stopCommand(shell: Shell): Command {
  const command = new Command("stop")
    .description(
      "end all access of an agent, with its sessions, streams, and held requests; without a name, list the stopped agents that have no key",
    )
    .argument(
      "[agent]",
      "name of the agent or of its key, or jwt:SUBJECT, cert:NAME, or uid:NUMBER",
      parseStopped,
    )
    .option("--lift", "let a stopped agent that has no key call again")
    .option("--yes", "do not ask");
  addNotes(command, note);
  return daemonCommand(shell, command, async (session, { lift = false, yes }: StopFlags, agent?: string) => {
    const { daemon, call, show, showList } = session;
    if (agent === undefined) {
      const { stops } = await call("list the stopped agents", daemon.of(ApprovalService).listStops, {});
      const nowMs = shell.clock.nowMs();
      return showList(stops, {
        none: "no agent without a key is stopped\n",
        columns: {
          AGENT: ({ principal }) => printable(principal),
          STOPPED: ({ stoppedAt }) => formatAge(stoppedAt, nowMs),
          BY: ({ stoppedBy }) => printable(stoppedBy),
        },
      });
    }
    if (!hasNoKey(agent)) {
      if (lift)
        throw usageFailure(
          "--lift is for jwt:SUBJECT, cert:NAME, or uid:NUMBER: give an agent with a key a new one",
        );
      return await endKeys(session, yes, agent);
    }
    const name = printable(agent);
    if (!lift) await confirm(shell, `Stop ${name} until you lift it?`, yes);
    const doing = lift ? `lift the stop of ${name}` : `stop ${name}`;
    const answer = await call(doing, daemon.of(ApprovalService).stopPrincipal, { principal: agent, lift });
    show(answer, () => (lift ? `${name} may call again\n` : `${name} is stopped until nexusd stop --lift\n`));
  });
}

function hasNoKey(agent: string): boolean {
  return /^(jwt|cert|uid):/.test(agent);
}

function parseStopped(text: string): string {
  if (hasNoKey(text)) return text;
  const [, name] = /^(?:key:)?([a-z0-9][a-z0-9._-]{0,62})$/.exec(text) ?? [];
  if (name !== undefined) return name;
  throw new InvalidArgumentError(
    "It is the name of an agent or of its key, or begins with jwt:, cert:, or uid:.",
  );
}
