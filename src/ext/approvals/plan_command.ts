import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command } from "commander";
import {
  addNotes,
  CommandFailure,
  type DaemonFlags,
  type DaemonSession,
  daemonCommand,
  formatTime,
  printable,
  readText,
  type Shell,
  usable,
  usageFailure,
} from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import { DocumentError, type Path, readYaml, unknownKeys } from "../../document/document.js";
import {
  ApprovalService,
  type PlannedRequestSchema,
  type PlanSchema,
  PlanState,
  type RequestPlanResponse,
} from "../../gen/nexus/v1/approval_pb.js";
import { isJsonObject, type JsonObject, type JsonValue, parseDurationText } from "../../model/model.js";
import { delay } from "../../runtime/runtime.js";

const planKeys = ["reason", "for", "requests"];
const requestKeys = ["provider", "label", "request", "body", "count"];
/** Nobody is quicker to read a plan and to answer. */
const lookMs = 2_000;

const note =
  "FILE is YAML: reason, for (how long, 24h at most), and requests, a list of provider, request, and optionally label, body, and count. A request is a method and a URL: POST https://api.github.com/repos/acme/{id}/issues. {number}, {uuid}, {hex}, {token}, {id}, and {any} stand for parts that differ; in the query and in body also {text}. Without --no-wait, the command waits for the decision, and exits with 1 if the plan is denied.";

interface RequestFlags extends DaemonFlags {
  readonly plan?: string;
  readonly user?: string;
  readonly wait: boolean;
}

/** `nexusd approvals request`. */
export function requestCommand(shell: Shell): Command {
  const command = new Command("request")
    .description("ask a person to approve a plan of requests, for the agent that will send them")
    .option("--plan <file>", "the plan, in YAML")
    .option("--user <id>", "user whose connections the requests use (default: your login name)")
    .option("--no-wait", "print the ID and the page for the approver, and do not wait");
  addNotes(command, note);
  return daemonCommand(shell, command, async (session, flags: RequestFlags) => {
    const { daemon, call, show } = session;
    if (flags.plan === undefined) throw usageFailure("name the file of the plan: --plan FILE");
    const plan = planOf(flags.plan, flags.user ?? shell.userName());
    const { requestPlan } = daemon.of(ApprovalService);
    let answer = await call("ask for the plan", requestPlan, { subject: { case: "plan", value: plan } });
    if (answer.state === PlanState.WAITING && flags.wait) {
      shell.stderr.write(`plan ${answer.id} waits for a person: ${pageText(answer)}\n`);
      answer = await decided(session, answer);
    }
    show(answer, () => textOf(answer));
    if (answer.state === PlanState.DENIED) throw new CommandFailure(exitCodes.failed, "");
  });
}

/** Looks until somebody has decided. @throws CommandFailure for a plan that has ended, NOT_FOUND among it */
async function decided(
  { shell, daemon, call }: DaemonSession,
  { id }: RequestPlanResponse,
): Promise<RequestPlanResponse> {
  for (;;) {
    await delay(shell.clock, lookMs);
    const answer = await call("look up the plan", daemon.of(ApprovalService).requestPlan, {
      subject: { case: "id", value: id },
    });
    if (answer.state !== PlanState.WAITING) return answer;
  }
}

function pageText({ url }: RequestPlanResponse): string {
  return url === "" ? "nexusd approvals list" : printable(url);
}

function textOf(answer: RequestPlanResponse): string {
  const { id, state, reason, expiresAt } = answer;
  const until = expiresAt ? ` until ${formatTime(expiresAt)}` : "";
  if (state === PlanState.APPROVED) return `plan ${id} is approved${until}\n`;
  if (state === PlanState.DENIED) return `plan ${id} is denied${reason && `: ${printable(reason)}`}\n`;
  return `plan ${id} waits for a person${until}: ${pageText(answer)}\n`;
}

/** @throws CommandFailure naming each error of the file with its place */
function planOf(file: string, userId: string): MessageInitShape<typeof PlanSchema> {
  return usable("plan", file, () => {
    const document = readYaml(readText(file, "--plan"));
    const violations = [...document.violations];
    const refuse = (path: Path, message: string): void => {
      violations.push({ ...document.placeOf(path), message });
    };
    const { value } = document;
    const json: JsonObject = isJsonObject(value) ? value : {};
    if (!isJsonObject(value)) refuse([], "a plan must be keys and values");
    violations.push(...unknownKeys(document, json, [], planKeys));
    const { reason, for: lifetime, requests } = json;
    if (typeof reason !== "string") refuse(["reason"], "reason: must be a text: what the task is");
    const lifeMs = typeof lifetime === "string" ? parseDurationText(lifetime) : undefined;
    if (lifeMs === undefined) refuse(["for"], "for: must be a duration from 1m to 24h, such as 2h");
    if (!Array.isArray(requests)) refuse(["requests"], "requests: must be a list");
    const list = (Array.isArray(requests) ? requests : []).map((row: JsonValue, at) => {
      const path = ["requests", at];
      if (isJsonObject(row)) violations.push(...unknownKeys(document, row, path, requestKeys));
      return plannedOf(isJsonObject(row) ? row : {}, path, refuse);
    });
    if (violations.length > 0) throw new DocumentError(violations);
    return { userId, reason: String(reason), lifetime: durationFromMs(lifeMs ?? 0), requests: list };
  });
}

function plannedOf(
  { provider, label = "", request, body = {}, count }: JsonObject,
  path: Path,
  refuse: (path: Path, message: string) => void,
): MessageInitShape<typeof PlannedRequestSchema> {
  const [, method = "", url = ""] = /^([A-Z-]{1,20}) +(\S+)$/.exec(String(request)) ?? [];
  if (typeof provider !== "string") refuse([...path, "provider"], "provider: must be the name of a provider");
  if (typeof label !== "string") refuse([...path, "label"], "label: must be a text: put it into quotes");
  if (url === "")
    refuse(
      [...path, "request"],
      "request: must be a method in capitals and a URL, such as POST https://api.github.com/repos/acme/{id}/issues",
    );
  const fields = isJsonObject(body) ? Object.entries(body) : [];
  if (!isJsonObject(body) || fields.some(([, value]) => typeof value !== "string"))
    refuse([...path, "body"], "body: must be names of fields, each with a text: put numbers into quotes");
  if (count !== undefined && !(Number.isInteger(count) && Number(count) >= 1 && Number(count) <= 1_000))
    refuse([...path, "count"], "count: must be a number from 1 to 1000");
  return {
    ...{ provider: String(provider), label: String(label), method, url },
    body: Object.fromEntries(fields.map(([name, value]) => [name, String(value)])),
    ...(count !== undefined && { count: Number(count) }),
  };
}
