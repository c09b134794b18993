import { Code } from "@connectrpc/connect";
import { Command, Option } from "commander";
import {
  addNotes,
  ambiguousId,
  type ConfirmedFlags,
  confirm,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
  formatAge,
  formatFields,
  formatTime,
  printable,
  type Shell,
  usageFailure,
  withStep,
} from "../../cli/kit.js";
import type { HeldPlan, HeldRequest } from "../../gen/nexus/v1/approval_pb.js";
import { ApprovalService } from "../../gen/nexus/v1/approval_pb.js";
import { extents, shareText } from "../../model/access/access.js";
import { counted } from "../../model/model.js";
import { requestCommand } from "./plan_command.js";

const notes =
  "A rule of the policy file with `then: ask` holds a request until somebody decides, for the time that `hold` says (180 seconds by default). Read all of it: an approval applies to exactly this request. Characters outside printable ASCII are shown as \\u{...}. Lines of the body begin with a | (or > where a long line goes on).";

export function approvalsCommand(shell: Shell): Command {
  const list = addNotes(
    new Command("list").description("list the requests and plans that wait for approval, and plans in force"),
    notes,
  );
  return new Command("approvals")
    .addCommand(
      daemonCommand(shell, list, async (session, _flags: DaemonFlags) => {
        session.showList(await waiting(session), {
          none: "no requests are waiting\n",
          columns: {
            ID: ({ id }) => id,
            CALLER: ({ caller }) => caller,
            PROVIDER: (asked) => (isPlan(asked) ? providersOf(asked) : asked.provider),
            REQUEST: lineOf,
            ENDS: ({ expiresAt }) => formatAge(expiresAt, shell.clock.nowMs()),
          },
        });
      }),
      { isDefault: true },
    )
    .addCommand(decideCommand(shell, true))
    .addCommand(decideCommand(shell, false))
    .addCommand(requestCommand(shell));
}

interface DecideFlags extends ConfirmedFlags {
  readonly for?: string;
  readonly reason?: string;
}

function decideCommand(shell: Shell, approve: boolean): Command {
  const command = new Command(approve ? "approve" : "deny")
    .description(approve ? "approve a request or a plan" : "deny a request or a plan; ends a plan in force")
    .argument("<id>", "ID of the request or plan, or its beginning")
    .option("--yes", "do not ask");
  if (approve)
    command.addOption(
      new Option("--for <extent>", "also approve later requests of this rule, if it allows that").choices(
        extents,
      ),
    );
  else command.option("--reason <text>", "why, in one line: the agent reads it");
  return daemonCommand(shell, command, async (session, flags: DecideFlags, given: string) => {
    const request = requestOf(given, await waiting(session));
    const { id } = request;
    if (approve && request.needsPasskey) throw usageFailure(passkeyText(request));
    if (approve) {
      shell.stderr.write(isPlan(request) ? planText(request) : textOf(request));
      await confirm(shell, "Approve it?", flags.yes);
    }
    const { daemon, call, show } = session;
    const decision = {
      id,
      digest: request.digest,
      approve,
      extent: flags.for ?? "",
      reason: flags.reason ?? "",
    };
    const answer = await withStep(Code.NotFound, "it no longer waits: see nexusd approvals list", () =>
      call("answer the request", daemon.of(ApprovalService).decideHeldRequest, decision),
    );
    const { missing } = answer;
    const more = missing > 0 ? `: it waits for ${counted(missing, "more approver")}` : "";
    show(answer, () => (approve ? `${id} is approved${more}\n` : `${id} is denied\n`));
  });
}

type Asked = HeldRequest | HeldPlan;

function isPlan(asked: Asked): asked is HeldPlan {
  return asked.$typeName === "nexus.v1.HeldPlan";
}

function lineOf(asked: Asked): string {
  if (!isPlan(asked)) {
    const { method, url, approvers, approvedBy } = asked;
    return `${approvers > 1 ? `${approvedBy.length} of ${approvers} approved: ` : ""}${method} ${url}`;
  }
  const { plan, approver, used } = asked;
  const [first, ...more] = (plan?.requests ?? []).map(({ method, url }) => `${method} ${url}`);
  const others = more.length === 0 ? "" : ` and ${more.length} more`;
  const sent = used.reduce((sum, count) => sum + count, 0);
  const state = approver === "" ? "plan" : `plan in force by ${approver}, ${sent} sent`;
  return `${state}: ${first}${others}`;
}

function providersOf({ plan }: HeldPlan): string {
  return [...new Set(plan?.requests.map(({ provider }) => provider))].join(", ");
}

function passkeyText({ passkeyUrl }: Asked): string {
  const how =
    passkeyUrl === "" ? "nobody has one: see nexusd approvers add" : `open ${printable(passkeyUrl)}`;
  return `only a passkey approves here: ${how}`;
}

/** @throws CommandFailure for what is no id, and for the beginning of several */
function requestOf(id: string, requests: readonly Asked[]): Asked {
  const found = requests.filter((one) => one.id === id || (id.length >= 4 && one.id.startsWith(id)));
  const [request, ...others] = found;
  if (!request) throw usageFailure(`no request or plan ${printable(id)} waits: see nexusd approvals list`);
  if (others.length === 0) return request;
  throw ambiguousId(
    printable(id),
    found.map((one) => `  ${one.id}  ${lineOf(one)}`),
  );
}

async function waiting({ daemon, call }: DaemonSession): Promise<Asked[]> {
  const { listHeldRequests } = daemon.of(ApprovalService);
  const { requests, plans } = await call("list the requests that wait", listHeldRequests, {});
  return [...requests, ...plans];
}

/** All of it, as of a request; what the agent says comes last, behind its marks. */
function planText({ plan, caller, expiresAt }: HeldPlan): string {
  const requests = (plan?.requests ?? []).flatMap(({ method, url, provider, label, body, count }) => {
    const how = count === undefined ? "any number" : `${count}`;
    const fields = Object.entries(body);
    return [
      ["request", `${method} ${url}`],
      ["  at", `${provider}${label === "" ? "" : `, ${label}`}`],
      ["  how many", how],
      ...(fields.length === 0
        ? [["  body", "any"] as const]
        : fields.map(([name, template]) => [`  ${name}`, template] as const)),
    ] as const;
  });
  const about = [
    ["caller", caller],
    ["user", plan?.userId ?? ""],
    ["ends", formatTime(expiresAt)],
  ] as const;
  return `${formatFields([...requests, ...about])}\nthe agent says:\n${quoted(plan?.reason ?? "")}\n`;
}

/** All of it: nobody can agree to what was not printed. */
function textOf(request: HeldRequest): string {
  const { method, url, headers, bodySize, bodySha256, bodyText, extents: allowed } = request;
  const digest = Buffer.from(bodySha256).toString("hex");
  const fields = formatFields([
    ["request", `${method} ${url}`],
    ...headers.map(({ name, value }) => [`  ${name}`, value] as const),
    ["body", bodySize === 0n ? "none" : `${bodySize} bytes, sha256 ${digest}`],
    [
      "caller",
      `${request.caller}${request.callerLeft ? " (it has left: your answer counts when it sends the same request again)" : ""}`,
    ],
    ["session", request.session],
    ["provider", `${request.provider}, connection of ${request.userId} (${request.connectionId})`],
    ["rule", `line ${request.ruleLine}${request.because === "" ? "" : `: ${request.because}`}`],
    ...request.labels.map(
      ({ label, request: setter, rule }) => ["session is", `${label}, since ${setter} (${rule})`] as const,
    ),
    ["approvals", shareText(request)],
    ["may count for", ["once", ...allowed].join(", ")],
  ]);
  return bodyText === "" ? fields : `${fields}\n${quoted(bodyText)}\n`;
}

/** Of a terminal with 80, beside the mark. */
const columns = 74;

/** Text of an agent, each line behind a mark, and cut where a terminal would wrap it: none of it looks like a line of ours. */
function quoted(text: string): string {
  const lines = text.split("\n").flatMap((line) => {
    const parts = cut(printable(line.replaceAll("\t", "    ")));
    return parts.map((part, at) => `  ${at === 0 ? "|" : ">"} ${part}\n`);
  });
  return lines.join("");
}

/** In parts that fit; letters beyond ASCII may take two columns. */
function cut(line: string): string[] {
  const parts = [""];
  let width = 0;
  for (const character of line) {
    const wide = character > "\x7f" ? 2 : 1;
    if (width + wide > columns) {
      parts.push("");
      width = 0;
    }
    parts.push(`${parts.pop()}${character}`);
    width += wide;
  }
  return parts;
}
