import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, InvalidArgumentError } from "commander";
import type { AuditEvent } from "../../gen/nexus/v1/audit_pb.js";
import { coreAuditEvents } from "../../model/access/audit_event.js";
import { didYouMean } from "../../model/suggestions.js";
import { delay } from "../../runtime/clock.js";
import { connectionArgument, findConnection } from "../connections/connection_key.js";
import { usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, type DaemonSession, daemonCommand } from "../shell/daemon_command.js";
import { parseSince } from "../shell/option_values.js";
import type { Shell } from "../shell/shell.js";
import { formatTable, formatTime, jsonLine, printable, shortId } from "../shell/text.js";
import { screenOf } from "../terminal/screen.js";
import { auditVerifyCommand } from "./audit_verify.js";

interface AuditFlags extends DaemonFlags {
  readonly connection?: string;
  readonly type?: string;
  /** Milliseconds of the Unix epoch. */
  readonly since?: number;
  readonly limit: number;
  readonly follow?: boolean;
}

/** How often `--follow` asks for news. */
const followIntervalMs = 1_000;
const maxPageSize = 1_000;

export function auditCommand(shell: Shell): Command {
  return new Command("audit")
    .addCommand(auditListCommand(shell), { isDefault: true })
    .addCommand(auditVerifyCommand(shell));
}

function auditListCommand(shell: Shell): Command {
  const command = new Command("list")
    .description("show the newest events, in order (also what nexusd audit does)")
    .option("--connection <connection>", `only events of ${connectionArgument}`)
    .option("--type <type>", "only events of this type, such as token_retrieved")
    .option("--since <time>", "only events since then: 90m, 2d, yesterday, or 2026-11-24T15:40:00Z", (text) =>
      parseSince(text, shell.clock.nowMs()),
    )
    .option("--limit <count>", "maximum number", parseLimit, 50)
    .option("--follow", "wait for more events, until interrupted");
  return daemonCommand(shell, command, async (session, given: AuditFlags) => {
    const connection = given.connection && (await findConnection(session, given.connection));
    const flags = { ...given, ...(connection && { connection }) };
    const events = await newest(session, flags, 0n);
    if (events.length === 0) refuseUnknownType(shell, flags);
    show(shell, flags, events, true);
    if (!flags.follow && events.length === 0 && !flags.json) shell.stderr.write("no events\n");
    let last = events.at(-1)?.sequence ?? 0n;
    while (flags.follow) {
      await delay(shell.clock, followIntervalMs);
      const more = await newest(session, { ...flags, limit: Number.POSITIVE_INFINITY }, last);
      show(shell, flags, more, false);
      last = more.at(-1)?.sequence ?? last;
    }
  });
}

/** A daemon of another version may know more types: then there are events of them. @throws CommandFailure */
function refuseUnknownType({ extensions }: Shell, { type }: AuditFlags): void {
  const known: string[] = [...coreAuditEvents, ...extensions.flatMap(({ auditEvents = [] }) => auditEvents)];
  if (type === undefined || known.includes(type)) return;
  const instead = didYouMean(type, known) ?? `these are: ${known.toSorted().join(", ")}`;
  throw usageFailure(`--type: ${printable(type)} is no type of event: ${instead}`);
}

/** The newest events after a sequence, at most `flags.limit`, in the order in which they happened. */
async function newest(
  { daemon, call }: DaemonSession,
  flags: AuditFlags,
  after: bigint,
): Promise<AuditEvent[]> {
  const filter = {
    connectionId: flags.connection ?? "",
    eventType: flags.type ?? "",
    ...(flags.since !== undefined && { since: timestampFromMs(flags.since) }),
  };
  const events: AuditEvent[] = [];
  let pageToken = "";
  do {
    const pageSize = Math.min(maxPageSize, flags.limit - events.length);
    const page = await call("read the audit log", daemon.audit.listAuditEvents, {
      ...filter,
      pageSize,
      pageToken,
    });
    const fresh = page.events.filter(({ sequence }) => sequence > after);
    events.push(...fresh);
    const isPast = fresh.length < page.events.length;
    pageToken = isPast || events.length >= flags.limit ? "" : page.nextPageToken;
  } while (pageToken !== "");
  return events.reverse();
}

function show(shell: Shell, flags: AuditFlags, events: readonly AuditEvent[], isFirst: boolean): void {
  if (flags.json) {
    for (const event of events) shell.stdout.write(jsonLine(event));
  } else if (flags.follow) {
    for (const event of events)
      shell.stdout.write(`${cellsOf(event).filter(isPresented).map(printable).join("  ")}\n`);
  } else if (isFirst && events.length > 0) {
    const header = ["TIME", "EVENT", "BY", "FROM", "ABOUT", "DETAILS"];
    shell.stdout.write(formatTable(header, events.map(cellsOf), screenOf(shell.env, shell.stdout)));
  }
}

function isPresented(cell: string): boolean {
  return cell !== "";
}

function cellsOf(event: AuditEvent): string[] {
  const details = [
    event.reason,
    event.revision === 0n ? "" : `revision ${event.revision}`,
    event.count === 0n ? "" : `${event.count} times`,
    ...(["agent", "session", "rule", "shadow", "approver", "traceId"] as const).map((name) =>
      event[name] === "" ? "" : `${name === "traceId" ? "trace" : name} ${event[name]}`,
    ),
  ];
  const about =
    shortId(event.connectionId) || (event.providerId === "" ? "" : `provider ${shortId(event.providerId)}`);
  return [
    formatTime(event.time),
    event.eventType,
    event.principal,
    [event.origin, ...event.via.map((each) => `via ${each}`)].filter(isPresented).join(" "),
    about,
    details.filter(isPresented).join(", "),
  ];
}

function parseLimit(text: string): number {
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1) throw new InvalidArgumentError("It must be a whole number from 1 to 999999.");
  return limit;
}
