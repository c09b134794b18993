import { requestLabels } from "./api_labels.js";
import { bodyFacts, type FactName, type Facts } from "./request_facts.js";
import type { UseLimit } from "./use_limit.js";

export type Verdict = "allow" | "ask" | "deny";
export const verdicts: readonly Verdict[] = ["allow", "ask", "deny"];

/** Undefined where it is unknown, because the description lacks a fact that it asks for. */
export type Condition = (facts: Facts) => boolean | undefined;

/** One rule of the policy file. */
export interface Rule {
  /** Names; undefined for all. */
  readonly providers: ReadonlySet<string> | undefined;
  /** Undefined for a rule that always matches. */
  readonly when: Condition | undefined;
  /** That as the file has it; undefined for a rule without one. */
  readonly condition?: string;
  readonly verdict: Verdict;
  /** It decides nothing: what it would deny is put on record. */
  readonly isShadow?: true;
  /** What the condition asks for. */
  readonly asks: ReadonlySet<FactName>;
  /** Whether it compares with text that is percent-encoded, and so with the path as it is sent alone. */
  readonly isEncoded?: boolean;
  /** The text for somebody who is refused, or who is to approve. */
  readonly because: string;
  /** What the session of a request has been through once this rule lets it go; `ownLabels` is what the request itself does. */
  readonly labels?: readonly string[];
  /** How often each agent is let go by this rule. */
  readonly uses?: RuleUses;
  /** How long an approver may say yes for, beside once. */
  readonly extent: readonly Extent[];
  /** How long a request waits for an approver, from `minHoldMs` to `maxHoldMs`; undefined for `defaultHoldMs`. */
  readonly holdMs?: number;
  /** How many approvers have to say yes, from 1 to `maxRuleApprovers`; undefined for one. */
  readonly approvers?: number;
  /** Of the policy file, from 1; 0 for a restriction. */
  readonly line: number;
}

/** A limit of each agent. */
export interface RuleUses {
  readonly limit: UseLimit;
  /** Of the rule, whatever its line: a rule that says another thing is another one. */
  readonly id: string;
}

export const defaultHoldMs = 180_000;
export const minHoldMs = 10_000;
export const maxHoldMs = 86_400_000;

export const maxRuleApprovers = 5;

/** How far a request has come: `1 of 2: key:boss`. Empty where one approver decides. */
export function shareText(asked: {
  readonly approvers: number;
  readonly approvedBy: readonly string[];
}): string {
  const { approvers, approvedBy } = asked;
  if (approvers <= 1) return "";
  return `${approvedBy.length} of ${approvers}${approvedBy.length > 0 ? `: ${approvedBy.join(", ")}` : ""}`;
}

/** How far a yes goes. */
export type Extent = "session" | "hour";
export const extents: readonly Extent[] = ["session", "hour"];

/** Whether a rule matches: `unknown` if it asks for a fact that the description lacks. */
export type Match = "yes" | "no" | "unknown";

export interface Ruling {
  readonly verdict: Verdict;
  /** What decides; undefined where no rule matches. */
  readonly rule: Rule | undefined;
  /** The first rule in shadow that would have decided instead. */
  readonly shadow?: Rule | undefined;
  /** Whether a missing fact could change the verdict. */
  readonly isClosed: boolean;
  /** Whether the body could. */
  readonly wantsBody: boolean;
  /** What servers read in several ways, and the verdict goes by: it is refused, whatever the rule says. */
  readonly unclear?: string | undefined;
}

/** Whether a text of a rule is percent-encoded somewhere. */
export function isEncoded(text: string): boolean {
  return /%[0-9a-f]{2}/i.test(text);
}

const unruled: Ruling = { verdict: "allow", rule: undefined, isClosed: false, wantsBody: false };

export function matchOf({ providers, when, isEncoded: isSentAlone = false }: Rule, facts: Facts): Match {
  if (providers !== undefined && !providers.has(facts["connection.provider"] as string)) return "no";
  if (when === undefined) return "yes";
  const holds = when(facts);
  const isOneOfTwo = facts.otherwise !== undefined && !isSentAlone && when(facts.otherwise) !== holds;
  return holds === undefined || isOneOfTwo ? "unknown" : holds ? "yes" : "no";
}

/** Among the labels that a rule sets: those of the request. */
export const ownLabels = "request.labels";

/** What a rule sets on the session of a request. What a request may do counts, where it is unknown what it does. */
export function labelsSetBy({ labels = [] }: Pick<Rule, "labels">, own: Facts["request.labels"]): string[] {
  const each = labels.flatMap((label) => {
    if (label !== ownLabels) return label;
    return own instanceof Set ? [...(own as ReadonlySet<string>)] : Object.keys(requestLabels);
  });
  return [...new Set(each)];
}

/** What is decided, and what each rule says. */
export function explainRules(rules: readonly Rule[], facts: Facts) {
  const ruling = decide(rules, facts);
  const explained = rules.map((rule) => {
    const { line, verdict, because, isShadow: shadow = false } = rule;
    const labels = labelsSetBy(rule, facts["request.labels"]);
    return {
      line,
      verdict,
      because,
      labels,
      shadow,
      uses: rule.uses?.limit,
      match: matchOf(rule, facts),
      decides: rule === ruling.rule,
    };
  });
  const shadowLine = ruling.verdict === "deny" ? undefined : ruling.shadow?.line;
  return { requestVerdict: ruling.verdict, isClosed: ruling.isClosed, shadowLine, rules: explained };
}

/**
 * The one decision over a request: the first rule that matches. What is unknown is closed: an `allow` that asks for it does not match, a
 * `deny` or an `ask` does. Where it is unknown because servers read it in several ways, nobody is asked either. Providers that no rule of the
 * policy file is for are not judged; of the others, what no rule matches is denied. Rules in shadow change nothing of all that.
 */
export function decide(rules: readonly Rule[], facts: Facts): Ruling {
  let isRuled = false;
  const unknown: Rule[] = [];
  let shadow: Rule | undefined;
  for (const rule of rules) {
    const match = matchOf(rule, facts);
    if (rule.isShadow) {
      if (match !== "no") shadow ??= rule;
      continue;
    }
    isRuled ||= rule.line > 0 && (rule.providers?.has(facts["connection.provider"] as string) ?? true);
    if (match === "unknown") unknown.push(rule);
    if (match === "yes" || (match === "unknown" && rule.verdict !== "allow"))
      return { ...rulingOf(rule.verdict, rule, unknown, facts), shadow };
  }
  return { ...(isRuled ? rulingOf("deny", undefined, unknown, facts) : unruled), shadow };
}

/** @param unknown rules that may match or not */
function rulingOf(verdict: Verdict, rule: Rule | undefined, unknown: readonly Rule[], facts: Facts): Ruling {
  const isClosed = unknown.length > 0;
  const wantsBody = unknown.some(({ asks }) => bodyFacts.some((name) => asks.has(name)));
  const { unclear = {} } = facts;
  const [factName] = (Object.keys(unclear) as FactName[]).filter((name) =>
    unknown.some(({ asks }) => asks.has(name)),
  );
  if (verdict === "allow" || factName === undefined) return { verdict, rule, isClosed, wantsBody };
  return { verdict: "deny", rule, isClosed, wantsBody, unclear: `${factName} (${unclear[factName]})` };
}
