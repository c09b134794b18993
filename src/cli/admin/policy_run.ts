import { create } from "@bufbuild/protobuf";
import { exitCodes } from "../../daemon/exit_codes.js";
import {
  AccessVerdict,
  type ExplainAccessResponse,
  ExplainAccessResponseSchema,
} from "../../gen/nexus/v1/access_pb.js";
import { type Action, actions, isAction, roles } from "../../model/access/access_table.js";
import { Permissions } from "../../model/access/permissions.js";
import { type Policy, principalViolation } from "../../model/access/policy.js";
import type { Resource } from "../../model/access/scope_restriction.js";
import { readPolicy } from "../../policy/policy_document.js";
import { CommandFailure, usageFailure } from "../shell/command_failure.js";
import { type DaemonFlags, withDaemon } from "../shell/daemon_command.js";
import { readText, usable } from "../shell/files.js";
import type { Shell } from "../shell/shell.js";
import { formatFields, jsonLine } from "../shell/text.js";
import { roleName } from "./keys.js";

export interface ExplainFlags extends DaemonFlags {
  readonly principal: string;
  readonly action: string;
  readonly resource?: string;
  readonly policy?: string;
  readonly exitCode?: boolean;
}

/** What `--resource` says; a part that is not there is empty. */
interface Asked {
  readonly connectionId: string;
  readonly userId: string;
  readonly provider: string;
}

/** `policy check`. */
export async function checkPolicy(shell: Shell, file: string): Promise<void> {
  const { bindings } = load(file);
  const counted = bindings.length === 1 ? "1 binding" : `${bindings.length} bindings`;
  shell.stdout.write(`${file} is in order: ${counted}\n`);
}

/** `policy explain`. */
export async function explainAccess(shell: Shell, flags: ExplainFlags): Promise<void> {
  const resource = flags.resource === undefined ? undefined : parseResource(flags.resource);
  if (flags.policy !== undefined) return show(shell, flags, explainOffline(flags.policy, flags, resource));
  const { principal, action } = flags;
  await withDaemon(shell, flags, async ({ daemon, call }) => {
    const answer = await call("ask the policy", daemon.access.explainAccess, {
      principal,
      action,
      ...(resource && { resource }),
    });
    show(shell, flags, answer);
  });
}

function explainOffline(file: string, { principal, action }: ExplainFlags, asked: Asked | undefined) {
  if (!isAction(action))
    throw usageFailure(`--action: with --policy it must be one of ${actions.join(", ")}`);
  const violation = principalViolation(principal);
  if (violation !== undefined) throw usageFailure(`--principal: ${violation}`);
  const rule = load(file).ruleFor(principal);
  const nobody = { text: `no binding of the file names ${principal}`, line: 0 };
  const grant = new Permissions(rule ? [rule] : [], nobody);
  const { permission, place } = grant.decide(action, asked && resourceOf(action, asked));
  return create(ExplainAccessResponseSchema, {
    verdict: { allowed: 1, restricted: 2, denied: 3 }[permission],
    rule: place.text,
    line: place.line,
    role: grant.role === undefined ? 0 : roles.indexOf(grant.role) + 1,
    action,
  });
}

function resourceOf(action: Action, { connectionId, userId, provider: name }: Asked): Resource {
  // A file can name a provider by its name or its id: what stands here is compared with both.
  const provider = { id: name, name };
  if (connectionId !== "") return { kind: "connection", connectionId, userId, provider };
  if (action.startsWith("provider.") && name !== "")
    return { kind: "provider", provider, holdsAny: () => false };
  return {
    kind: "new",
    userId: userId === "" ? undefined : userId,
    provider: name === "" ? undefined : provider,
  };
}

function show(shell: Shell, flags: ExplainFlags, answer: ExplainAccessResponse): void {
  const isDenied = answer.verdict === AccessVerdict.DENIED;
  if (flags.json) shell.stdout.write(jsonLine(answer));
  else {
    const word = { 0: "unknown", 1: "allowed", 2: "allowed within the restriction", 3: "denied" }[
      answer.verdict
    ];
    const line = answer.line === 0 ? "" : `line ${answer.line}: `;
    const fields = formatFields([
      ["principal", `${flags.principal} (role ${roleName(answer.role)})`],
      ["action", answer.action],
      ["rule", `${line}${answer.rule}`],
    ]);
    shell.stdout.write(`${word ?? `verdict ${answer.verdict}`}\n${fields}`);
  }
  if (isDenied && flags.exitCode) throw new CommandFailure(exitCodes.failed, "");
}

function parseResource(text: string): Asked {
  const asked = { connection: "", user: "", provider: "" };
  // A user id may hold commas.
  for (const part of text.split(/,(?=(?:connection|user|provider):)/)) {
    const [, kind, value = ""] = /^(connection|user|provider):(.+)$/s.exec(part) ?? [];
    if (kind === undefined) {
      throw usageFailure(
        "--resource: write connection:<id>, user:<id> or provider:<name>, commas between them",
      );
    }
    asked[kind as keyof typeof asked] = value;
  }
  return { connectionId: asked.connection, userId: asked.user, provider: asked.provider };
}

function load(file: string): Policy {
  const text = readText(file, "");
  return usable("policy file", file, () => readPolicy(text));
}
