import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { CommandFailure, printable, readText, type Shell, usable, usageFailure } from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import { readYaml, type YamlDocument } from "../../../document/document.js";
import {
  type DescribedRequest,
  describedHeaders,
  describedUrl,
  explainRules,
  factsOf,
  Permissions,
  type Policy,
} from "../../../model/access/access.js";
import { isJsonObject, type JsonObject } from "../../../model/model.js";
import { loadPolicyFile, parseRequestLine } from "./policy_run.js";

/** What a case expects. */
const verdicts = ["allow", "ask", "deny", "use-egress"];
const keys = [
  "principal",
  "provider",
  "user",
  "session",
  "request",
  "headers",
  "labels",
  "body",
  "at",
  "expect",
  "shadow",
];

/** `policy test`: a table of requests, and what the rules are to say of each. */
export async function testPolicy(shell: Shell, file: string): Promise<void> {
  const document = usable("table of cases", file, () => readYaml(readText(file, "")));
  const { policy: policyFile, cases } = isJsonObject(document.value) ? document.value : {};
  if (typeof policyFile !== "string" || !Array.isArray(cases) || cases.length === 0)
    throw usageFailure(`${file}: write policy, the policy file, and cases, a list`);
  const policy = loadPolicyFile(resolve(dirname(file), policyFile));
  const outcomes = cases.map((row, index) => {
    const { line } = document.placeOf(["cases", index]);
    return { line, ...outcomeOf(policy, row as JsonObject, `${file}:${line}`, shell) };
  });
  for (const { line, noted } of outcomes)
    if (noted !== undefined) shell.stdout.write(`${file}:${line}: ${noted}\n`);
  const failed = outcomes.filter(({ expected, found }) => expected !== found);
  for (const { line, expected, found, decidedBy } of failed)
    shell.stdout.write(
      `${file}:${line}: expected ${printable(expected)}, and it is ${found} (${decidedBy})\n`,
    );
  shell.stdout.write(`${cases.length - failed.length} of ${cases.length} cases come out as expected\n`);
  if (failed.length > 0) throw new CommandFailure(exitCodes.failed, "");
}

function outcomeOf(policy: Policy, row: YamlDocument["value"] | undefined, place: string, shell: Shell) {
  if (!isJsonObject(row)) throw usageFailure(`${place}: a case must be keys and values`);
  const unknown = Object.keys(row).find((key) => !keys.includes(key));
  if (unknown !== undefined)
    throw usageFailure(`${place}: ${printable(unknown)} is not a key; these are: ${keys.join(", ")}`);
  const { headers: _, labels = [], ...rest } = row;
  if (!Array.isArray(labels) || labels.some((label) => typeof label !== "string"))
    throw usageFailure(`${place}: labels must be a list of texts: what the session had before`);
  const broken = Object.entries(rest).find(([, value]) => typeof value !== "string");
  if (broken) throw usageFailure(`${place}: ${broken[0]} must be a text: put it into quotes`);
  const {
    principal = "key:agent",
    provider = "",
    user = "user",
    at,
    expect = "",
    shadow = "",
  } = rest as Record<string, string>;
  if (!verdicts.includes(expect))
    throw usageFailure(
      `${place}: expect: ${printable(expect)} is not a verdict; these are: ${verdicts.join(", ")}`,
    );
  if (!["", "deny"].includes(shadow)) throw usageFailure(`${place}: shadow must be deny, or left out`);
  const nowMs = at === undefined ? shell.clock.nowMs() : Date.parse(at);
  const connection = { connectionId: "", userId: user, provider: { id: provider, name: provider } };
  const bound = policy.ruleFor(principal);
  const permissions = new Permissions(bound ? [bound] : [], { text: "", line: 0 }, policy);
  const request = requestOf(row, place);
  const { requestVerdict, isClosed, shadowLine, rules } = explainRules(
    permissions.requestRules,
    factsOf(principal, connection, request, nowMs, new Set(labels as string[])),
  );
  const decisive = rules.find(({ decides }) => decides);
  const isToken =
    !request &&
    (requestVerdict === "allow" ? (decisive?.labels.length ?? 0) > 0 : requestVerdict === "ask" || isClosed);
  const verdict = isToken ? "use-egress" : requestVerdict;
  const isShadowed = shadowLine !== undefined && !isToken;
  const asks = shadow === "deny";
  return {
    expected: asks ? `${expect}, denied in shadow` : expect,
    found: asks && isShadowed ? `${verdict}, denied in shadow` : verdict,
    noted: isShadowed
      ? `${verdict}, and the rule in line ${shadowLine}, in shadow, would deny it`
      : undefined,
    decidedBy: decisive ? `line ${decisive.line}` : "no rule matches",
  };
}

function requestOf(row: JsonObject, place: string): DescribedRequest | undefined {
  const { request: line, headers = {}, body = "", session } = row;
  if (typeof line !== "string") return undefined;
  const { method, url } = parseRequestLine(line, `${place}: `);
  const fields = Object.entries(headers as JsonObject).map(
    ([name, value]) => [name.toLowerCase(), String(value)] as const,
  );
  const bytes = Buffer.from(String(body));
  const digest = createHash("sha256").update(bytes).digest("hex");
  return {
    ...describedUrl(url),
    ...describedHeaders(method, fields, true),
    body: { size: bytes.length, digest, bytes },
    session: typeof session === "string" ? session : undefined,
  };
}
