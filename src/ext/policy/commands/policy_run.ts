import { create } from "@bufbuild/protobuf";
import {
  allProviders,
  CommandFailure,
  type DaemonFlags,
  formatFields,
  jsonLine,
  printable,
  readText,
  roleName,
  type Shell,
  usable,
  usageFailure,
  withDaemon,
} from "../../../cli/kit.js";
import { ConfigError } from "../../../config/config.js";
import { exitCodes } from "../../../core/registry.js";
import {
  AccessVerdict,
  type ExplainAccessResponse,
  ExplainAccessResponseSchema,
} from "../../../gen/nexus/v1/access_pb.js";
import {
  type Action,
  actions,
  describedUrl,
  explainRules,
  factsOf,
  isAction,
  Permissions,
  type Policy,
  type Resource,
  roles,
  unknownProviders,
  unruled,
  useLimitText,
} from "../../../model/access/access.js";
import { ruleMatchMessage, useLimitOf } from "../../../service/messages/messages.js";
import { principalViolation, readPolicy } from "../policy_document.js";

export interface ExplainFlags extends DaemonFlags {
  readonly principal: string;
  readonly action: string;
  readonly resource?: string;
  readonly policy?: string;
  readonly request?: string;
  readonly exitCode?: boolean;
}

/** What `--resource` says; a part that is not there is empty. */
interface ResourceFlags {
  readonly connectionId: string;
  readonly userId: string;
  readonly provider: string;
}

/** `policy check`. Names are compared with the providers of a daemon; a file is in order without one, too. */
export async function checkPolicy(shell: Shell, file: string, flags: DaemonFlags): Promise<void> {
  const policy = loadPolicyFile(file);
  const namesAny = unknownProviders(policy, []).length > 0;
  const known = namesAny ? await providersOf(shell, flags) : [];
  const unknown = Array.isArray(known) ? unknownProviders(policy, known) : [];
  if (unknown.length > 0) {
    const lines = unknown.map(({ line, text }) => printable(`  ${file}:${line}: providers: ${text}`));
    throw new CommandFailure(exitCodes.failed, ["the policy file cannot be used", ...lines].join("\n"));
  }
  const counted = (list: readonly unknown[], what: string): string =>
    list.length === 1 ? `1 ${what}` : `${list.length} ${what}s`;
  const shadows = policy.rules.filter(({ isShadow }) => isShadow).length;
  const inShadow = shadows === 0 ? "" : ` (${shadows} in shadow)`;
  const rulesToo = policy.rules.length === 0 ? "" : `, ${counted(policy.rules, "rule")}${inShadow}`;
  shell.stdout.write(`${file} is in order: ${counted(policy.bindings, "binding")}${rulesToo}\n`);
  if (!Array.isArray(known))
    shell.stderr.write(`nexusd: warning: the names of providers were not checked: ${known}\n`);
}

/** The names that a daemon knows, or why it does not say. */
async function providersOf(shell: Shell, flags: DaemonFlags): Promise<string[] | string> {
  const names: string[] = [];
  try {
    await withDaemon(shell, flags, async (session) => {
      for (const { name } of await allProviders(session)) names.push(name);
    });
    return names;
  } catch (error) {
    if (!(error instanceof CommandFailure || error instanceof ConfigError)) throw error;
    return error.message;
  }
}

/** `policy explain`. */
export async function explainAccess(shell: Shell, flags: ExplainFlags): Promise<void> {
  const resource = flags.resource === undefined ? undefined : parseResource(flags.resource);
  if (flags.policy !== undefined)
    return show(shell, flags, explainOffline(shell, flags.policy, flags, resource));
  const { principal, action } = flags;
  const request = flags.request === undefined ? undefined : parseRequestLine(flags.request);
  await withDaemon(shell, flags, async ({ daemon, call }) => {
    const answer = await call("ask the policy", daemon.access.explainAccess, {
      principal,
      action,
      ...(resource && { resource }),
      ...(request && { request }),
    });
    show(shell, flags, answer);
  });
}

function explainOffline(
  shell: Shell,
  file: string,
  { principal, action, request }: ExplainFlags,
  resource: ResourceFlags | undefined,
) {
  if (!isAction(action))
    throw usageFailure(`--action: with --policy it must be one of ${actions.join(", ")}`);
  const violation = principalViolation(principal);
  if (violation !== undefined) throw usageFailure(`--principal: ${violation}`);
  const policy = loadPolicyFile(file);
  const rule = policy.ruleFor(principal);
  const nobody = { text: `no binding of the file names ${principal}`, line: 0 };
  const grant = new Permissions(rule ? [rule] : [], nobody, policy);
  const { permission, place } = grant.decide(action, resource && resourceOf(action, resource));
  return create(ExplainAccessResponseSchema, {
    verdict: { allowed: 1, restricted: 2, denied: 3 }[permission],
    rule: place.text,
    line: place.line,
    role: grant.role === undefined ? 0 : roles.indexOf(grant.role) + 1,
    action,
    warnings: resource ? warningsFor(policy, resource.provider) : [],
    ...(request !== undefined && explainRequest(grant, principal, request, resource, shell.clock.nowMs())),
  });
}

/** Without a daemon, the provider of the question is the only known one. */
function warningsFor(policy: Policy, provider: string): string[] {
  if (provider === "") return [];
  const missing = unruled(policy, provider);
  const near = unknownProviders(policy, [provider]).filter(({ text }) => text.endsWith("?"));
  if (missing === undefined) return [];
  return [...near.map(({ line, text }) => `line ${line}: ${text}`), missing];
}

function explainRequest(
  { requestRules }: Permissions,
  principal: string,
  line: string,
  resource: ResourceFlags | undefined,
  nowMs: number,
) {
  const { connectionId = "", userId = "", provider = "" } = resource ?? {};
  const connection = { connectionId, userId, provider: { id: provider, name: provider } };
  const { method, url } = parseRequestLine(line);
  const request = { ...describedUrl(url), method, headers: undefined, body: undefined, session: undefined };
  const { requestVerdict, rules } = explainRules(
    requestRules,
    factsOf(principal, connection, request, nowMs, new Set()),
  );
  return { requestVerdict, rules: rules.map(ruleMatchMessage) };
}

/** `POST https://api.github.com/user` @param place that the line stands at, for the message */
export function parseRequestLine(
  line: string,
  place = "",
): { readonly method: string; readonly url: string } {
  const [, method, url] = /^([A-Z-]{1,20}) +(https?:\/\/[^\s/?#@]+(?:[/?][^\s#]*)?)$/.exec(line) ?? [];
  if (method !== undefined && url !== undefined) return { method, url };
  throw usageFailure(
    `${place}a request is a method in capitals and a URL, such as 'POST https://api.github.com/repos/acme/app/issues'`,
  );
}

function resourceOf(action: Action, { connectionId, userId, provider: name }: ResourceFlags): Resource {
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
    const limit = useLimitOf(answer.uses);
    const fields = formatFields([
      ["principal", `${flags.principal} (role ${roleName(answer.role)})`],
      ["action", answer.action],
      ["rule", `${line}${answer.rule}`],
      ["uses", limit ? useLimitText(limit) : ""],
    ]);
    shell.stdout.write(
      `${word ?? `verdict ${answer.verdict}`}\n${fields}${rulesText(answer)}${warningsText(answer)}`,
    );
  }
  if (isDenied && flags.exitCode) throw new CommandFailure(exitCodes.failed, "");
}

function warningsText({ warnings }: ExplainAccessResponse): string {
  return warnings.map((warning) => `warning: ${printable(warning)}\n`).join("");
}

/** Each rule, and which one decides. */
function rulesText({ verdict, requestVerdict, rules, labels: before }: ExplainAccessResponse): string {
  if (requestVerdict === "") return "";
  // The rules of a policy file are for those who have a role.
  if (verdict === AccessVerdict.DENIED && rules.length === 0) return "the request: deny\n";
  const words = {
    yes: "matches",
    no: "does not match",
    unknown: "asks for what is not shown, or what servers read in several ways",
  };
  const lines = rules.map(({ line, verdict, shadow, labels, uses, match, decides, because }) => {
    const place = line === 0 ? "restriction" : `line ${line}`;
    const reason = because === "" ? "" : `: ${printable(because)}`;
    const sets = labels.length === 0 ? "" : `, sets ${labels.map(printable).join(" and ")}`;
    const limit = useLimitOf(uses);
    const limited = limit ? `, ${useLimitText(limit)} for each agent` : "";
    return `${decides ? ">" : " "} ${place}: ${verdict}${shadow ? " in shadow" : ""}${sets}${limited}, ${words[match as keyof typeof words] ?? match}${reason}\n`;
  });
  const first = rules.findIndex(({ shadow, match }) => shadow && match !== "no");
  const decisive = rules.findIndex(({ decides }) => decides);
  const isShadowed = requestVerdict !== "deny" && first >= 0 && (decisive < 0 || first < decisive);
  const shadowed = isShadowed ? ` (line ${rules[first]?.line} in shadow would deny it)` : "";
  const history = before.map(
    ({ label, request, rule, caller }) =>
      `  ${printable(label)}: set by ${printable(request)} of ${printable(caller)} (${printable(rule)})\n`,
  );
  const session = history.length === 0 ? "" : `the session has these labels:\n${history.join("")}`;
  return `the request: ${requestVerdict}${shadowed}\n${lines.join("")}${session}`;
}

function parseResource(text: string): ResourceFlags {
  const resource = { connection: "", user: "", provider: "" };
  // A user id may hold commas.
  for (const part of text.split(/,(?=(?:connection|user|provider):)/)) {
    const [, kind, value = ""] = /^(connection|user|provider):(.+)$/s.exec(part) ?? [];
    if (kind === undefined) {
      throw usageFailure(
        "--resource takes connection:<id>, user:<id>, or provider:<name>, separated by commas",
      );
    }
    resource[kind as keyof typeof resource] = value;
  }
  return { connectionId: resource.connection, userId: resource.user, provider: resource.provider };
}

export function loadPolicyFile(file: string): Policy {
  const text = readText(file, "");
  return usable("policy file", file, () => readPolicy(text));
}
