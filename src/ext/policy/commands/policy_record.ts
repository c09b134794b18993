import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  CommandFailure,
  type DaemonFlags,
  type DaemonSession,
  formatTable,
  printable,
  type Shell,
  screenOf,
  withDaemon,
} from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import { type ListRequestTemplatesResponse, PolicyService } from "../../../gen/nexus/v1/policy_pb.js";
import { Permissions } from "../../../model/access/access.js";
import { templateVerdict } from "../record/template_verdict.js";
import { maxSuggested, type SuggestedRule, suggestedRules } from "../suggested_rules.js";
import { loadPolicyFile } from "./policy_run.js";

export interface RecordFlags extends DaemonFlags {
  /** In milliseconds of the Unix epoch. */
  readonly since?: number;
  readonly principal?: string;
  readonly provider?: string;
}

/** `policy suggest`. */
export async function suggestPolicy(shell: Shell, flags: RecordFlags): Promise<void> {
  await withDaemon(shell, flags, async (session) => {
    const { templates, leftOut } = await recorded(session, flags);
    if (templates.length === 0)
      throw new CommandFailure(exitCodes.failed, "no request was recorded: nothing can be suggested");
    const suggestion = suggestedRules(templates);
    if (!suggestion)
      throw new CommandFailure(
        exitCodes.failed,
        `rules for these ${templates.length} templates would be more than ${maxSuggested}: choose some of them with --provider, --principal, or --since`,
      );
    const { rules, isForAll } = suggestion;
    const total = templates.reduce((sum, { count }) => sum + count, 0n);
    const notes = [
      `Written by nexusd policy suggest: ${total} requests, ${templates.length} templates.`,
      "Put rules and default into your policy file, beside its bindings. default: deny also denies providers that no rule names.",
      isForAll ? "Rules for each agent would be too many: these are for all agents." : "",
      leftOut > 0n ? `${leftOut} requests were not recorded, and these rules may deny them.` : "",
    ].filter((note) => note !== "");
    shell.stdout.write(
      `${notes.map((note) => `# ${note}\n`).join("")}rules:\n${rules.map(ruleText).join("")}default: deny\n`,
    );
  });
}

/** `policy replay`. */
export async function replayPolicy(shell: Shell, file: string, flags: RecordFlags): Promise<void> {
  const policy = loadPolicyFile(file);
  await withDaemon(shell, flags, async (session) => {
    const { templates, leftOut } = await recorded(session, flags);
    const nowMs = shell.clock.nowMs();
    const judged = templates.map((template) => {
      const { principal, verdict: today } = template;
      const bound = policy.ruleFor(principal);
      const permissions = new Permissions(bound ? [bound] : [], { text: "", line: 0 }, policy);
      const withFile = templateVerdict(permissions, template, nowMs);
      return { template, today, withFile, isLost: isLost(today, withFile) };
    });
    const lost = judged.filter(({ isLost: is }) => is);
    if (flags.json)
      for (const { template, withFile } of judged) shell.stdout.write(replayLine(template, withFile));
    else if (judged.length > 0) shell.stdout.write(tableOf(judged, shell));
    if (leftOut > 0n)
      shell.stderr.write(`nexusd: warning: ${leftOut} requests were not recorded, and are not judged\n`);
    if (!flags.json)
      shell.stdout.write(`${lost.length} of ${judged.length} templates would no longer be allowed\n`);
    if (lost.length > 0) throw new CommandFailure(exitCodes.failed, "");
  });
}

type TemplateMessage = ListRequestTemplatesResponse["templates"][number];

/** What was let go, and is not now for sure. */
function isLost(today: string, withFile: string): boolean {
  if (withFile === "deny") return today !== "deny";
  return withFile === "unknown" && (today === "allow" || today === "ask");
}

async function recorded(
  { daemon, call }: DaemonSession,
  { since, principal, provider }: RecordFlags,
): Promise<ListRequestTemplatesResponse> {
  const answer = await call("read what was recorded", daemon.of(PolicyService).listRequestTemplates, {
    ...(since !== undefined && { since: timestampFromMs(since) }),
  });
  if (!answer.recording)
    throw new CommandFailure(
      exitCodes.failed,
      "this daemon records no requests: start it with NEXUS_RECORD_REQUESTS=true",
    );
  const templates = answer.templates.filter(
    (template) =>
      (principal === undefined || template.principal === principal) &&
      (provider === undefined || template.provider === provider),
  );
  return { ...answer, templates };
}

function ruleText({ provider, condition, templates }: SuggestedRule): string {
  const counts = templates.map(
    ({ count, method, host, path }) => `  # ${count}: ${method} ${printable(`${host}${path}`)}\n`,
  );
  const lines = condition.map((line) => `      ${line}\n`);
  return `${counts.join("")}  - providers: [${provider}]\n    when: >-\n${lines.join("")}    then: allow\n`;
}

function tableOf(
  judged: readonly { template: TemplateMessage; today: string; withFile: string; isLost: boolean }[],
  shell: Shell,
): string {
  const rows = judged.map(({ template, today, withFile, isLost: is }) => {
    const { count, principal, provider, method, host, path } = template;
    const request = printable(`${method} ${host}${path}`);
    return [is ? "!" : "", today, withFile, `${count}`, printable(principal), provider, request];
  });
  const columns = ["", "TODAY", "WITH FILE", "COUNT", "CALLER", "PROVIDER", "REQUEST"];
  return formatTable(columns, rows, screenOf(shell.env, shell.stdout));
}

function replayLine(template: TemplateMessage, withFile: string): string {
  const { principal, provider, host, method, path, count, verdict: today } = template;
  return `${JSON.stringify({ principal, provider, host, method, path, count: `${count}`, today, with_file: withFile })}\n`;
}
