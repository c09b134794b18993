import { Command } from "commander";
import {
  addNotes,
  type DaemonFlags,
  daemonCommand,
  formatAge,
  printable,
  type Shell,
} from "../../../cli/kit.js";
import { EgressService } from "../../../gen/nexus/v1/egress_pb.js";

const maxEntries = 1_000;

export function sessionsCommand(shell: Shell): Command {
  const command = new Command("sessions").description(
    "show the programs and callers whose requests get their credentials on the way",
  );
  addNotes(
    command,
    "Each has its requests by provider and status, and what was refused by its reason. A daemon lists what came to it since it started.",
  );
  return daemonCommand(shell, command, async ({ daemon, call, showList }, _flags: DaemonFlags) => {
    const { sessions } = await call("list the sessions", daemon.of(EgressService).listEgressSessions, {
      maxEntries,
    });
    const nowMs = shell.clock.nowMs();
    showList(sessions, {
      none: "no programs are running\n",
      columns: {
        SESSION: ({ id }) => id,
        CALLER: ({ principal }) => printable(principal),
        USER: ({ userId }) => printable(userId),
        PROGRAM: ({ program }) => printable(program),
        SINCE: ({ since }) => formatAge(since, nowMs),
        UNTIL: ({ until }) => formatAge(until, nowMs),
        LABELS: ({ labels }) =>
          labels.map(({ label, request }) => `${printable(label)} (${printable(request)})`).join(", "),
        REQUESTS: ({ uses }) =>
          uses.map(({ provider, status, count }) => `${printable(provider)} ${status}: ${count}`).join(", "),
        REFUSED: ({ refusals }) =>
          refusals.map(({ reason, count }) => `${printable(reason)}: ${count}`).join(", "),
      },
    });
  });
}
