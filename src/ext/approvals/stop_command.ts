import { Command, InvalidArgumentError } from "commander";
import {
  addNotes,
  type ConfirmedFlags,
  confirm,
  type DaemonSession,
  daemonCommand,
  formatAge,
  printable,
  type Shell,
  usageFailure,
} from "../../cli/kit.js";
import { type ApiKey, Role } from "../../gen/nexus/v1/access_pb.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { endKeys, isOf, living } from "./grants.js";

interface StopFlags extends ConfirmedFlags {
  readonly lift?: boolean;
  readonly user?: string;
}

const note =
  "An agent without an API key is named as in the audit log: jwt:SUBJECT, cert:NAME, or uid:NUMBER. It is refused until you lift the stop, even if its JWT or certificate is valid. A revoked key is revoked for good. --user ends each agent whose key names this user. Agents that may act for any user, and those without a key, are listed or stopped by name.";

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
    .option("--user <id>", "end all agents whose keys name this user")
    .option("--lift", "let a stopped agent that has no key call again")
    .option("--yes", "do not ask");
  addNotes(command, note);
  return daemonCommand(shell, command, async (session, flags: StopFlags, agent?: string) => {
    const { lift = false, yes, user } = flags;
    const { daemon, call, show, showList } = session;
    if (user !== undefined) {
      if (agent !== undefined || lift) throw usageFailure("--user takes no name of an agent, and no --lift");
      return await stopUser(session, yes, user);
    }
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
      const none = `${agent} has no active key or grant`;
      return await endKeys(session, yes, (key) => isOf(agent, key), { none });
    }
    const name = printable(agent);
    if (!lift) await confirm(shell, `Stop ${name} until you lift it?`, yes);
    const doing = lift ? `lift the stop of ${name}` : `stop ${name}`;
    const answer = await call(doing, daemon.of(ApprovalService).stopPrincipal, { principal: agent, lift });
    show(answer, () => (lift ? `${name} may call again\n` : `${name} is stopped until nexusd stop --lift\n`));
  });
}

/** Keys that serve other users too, by a pattern or without naming any, are named and stay. */
async function stopUser(session: DaemonSession, yes: boolean | undefined, user: string): Promise<void> {
  const { shell } = session;
  const isOfAgent = ({ role }: ApiKey) => role === Role.AGENT;
  const isNamed = (key: ApiKey) => isOfAgent(key) && (key.restriction?.userIds.includes(user) ?? false);
  const others = await living(session, shell.clock.nowMs(), (key) => {
    const { userIds = [] } = key.restriction ?? {};
    const isCovered = userIds.some((id) => id.endsWith("*") && user.startsWith(id.slice(0, -1)));
    return isOfAgent(key) && !isNamed(key) && (isCovered || userIds.length === 0);
  });
  const left = others.map(({ name }) => name).join(", ");
  const rest = left === "" ? "" : `these may act for ${printable(user)} and for others, and stay: ${left}\n`;
  try {
    await endKeys(session, yes, isNamed, { none: `no agent has a key that names ${printable(user)}` });
  } finally {
    shell.stderr.write(rest);
  }
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
