import { agentOf, keyPrefix, templatePattern } from "../../model/access/access.js";

/** A file that a person reads. */
export const maxSuggested = 30;
/** Of the condition of a rule, below what a policy file takes. */
const maxCondition = 2_000;

/** What is to be allowed. */
export interface AllowedTemplate {
  readonly principal: string;
  readonly provider: string;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly count: bigint;
}

export interface SuggestedRule {
  readonly provider: string;
  /** In CEL, cut where a line may end. */
  readonly condition: readonly string[];
  readonly templates: readonly AllowedTemplate[];
}

export interface Suggestion {
  readonly rules: readonly SuggestedRule[];
  /** Rules for each agent would be too many: these are for all agents. */
  readonly isForAll: boolean;
}

/** Rules that allow these templates to those that sent them, and nothing else. @returns undefined where it takes more rules than a person reads */
export function suggestedRules(templates: readonly AllowedTemplate[]): Suggestion | undefined {
  const ordered = [...templates].sort((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1));
  for (const isForAll of [false, true]) {
    const rules = rulesOf(ordered, isForAll);
    if (rules && rules.length <= maxSuggested) return { rules, isForAll };
  }
  return undefined;
}

function orderOf({ provider, host, method, path }: AllowedTemplate): string {
  return [provider, host, method, path].join("\0");
}

/** Undefined where a condition cannot be short enough. */
function rulesOf(templates: readonly AllowedTemplate[], isForAll: boolean): SuggestedRule[] | undefined {
  const rules: SuggestedRule[] = [];
  for (const { callers, merged } of groupsOf(templates, isForAll)) {
    let taken: AllowedTemplate[] = [];
    for (const template of merged) {
      if (taken.length > 0 && !isShort(conditionOf(callers, [...taken, template]))) {
        rules.push(ruleOf(callers, taken));
        taken = [];
      }
      taken.push(template);
      if (!isShort(conditionOf(callers, taken))) return undefined;
    }
    rules.push(ruleOf(callers, taken));
  }
  return rules;
}

/** Templates of one provider that the same agents sent, those of several agents once. */
function groupsOf(templates: readonly AllowedTemplate[], isForAll: boolean) {
  const lines = new Map<string, { callers: Set<string>; template: AllowedTemplate }>();
  for (const template of templates) {
    const { provider, host, method, path, count, principal } = template;
    const key = [provider, host, method, path].join("\0");
    const known = lines.get(key);
    const callers = known?.callers ?? new Set();
    callers.add(principal);
    lines.set(key, { callers, template: { ...template, count: count + (known?.template.count ?? 0n) } });
  }
  const groups = new Map<string, { callers: readonly string[]; merged: AllowedTemplate[] }>();
  for (const { callers, template } of lines.values()) {
    const names = isForAll ? [] : [...callers].sort();
    const key = [template.provider, ...names].join("\0");
    const group = groups.get(key) ?? { callers: names, merged: [] };
    groups.set(key, group);
    group.merged.push(template);
  }
  return groups.values();
}

function ruleOf(callers: readonly string[], templates: readonly AllowedTemplate[]): SuggestedRule {
  const [{ provider } = { provider: "" }] = templates;
  return { provider, condition: conditionOf(callers, templates), templates };
}

/** @param callers none for all */
function conditionOf(callers: readonly string[], templates: readonly AllowedTemplate[]): string[] {
  const byHost = grouped(templates, ({ host }) => host).map(([host, ofHost]) => {
    const byMethod = grouped(ofHost, ({ method }) => method).map(([method, ofMethod]) => {
      const paths = ofMethod.map(({ path }) => templatePattern(path)).join("|");
      return `request.method == ${text(method)} && request.path.matches(${text(`^(${paths})$`)})`;
    });
    return [`request.host == ${text(host)} && (`, ...joined(byMethod), ")"];
  });
  const who = callers.length === 0 ? [] : [`(${callers.map(isCaller).join(" || ")}) &&`];
  return [...who, "(", ...byHost.flatMap((lines, at) => (at === 0 ? lines : ["||", ...lines])), ")"];
}

function grouped(
  templates: readonly AllowedTemplate[],
  by: (template: AllowedTemplate) => string,
): [string, AllowedTemplate[]][] {
  const groups = new Map<string, AllowedTemplate[]>();
  for (const template of templates) groups.set(by(template), [...(groups.get(by(template)) ?? []), template]);
  return [...groups];
}

function joined(parts: readonly string[]): string[] {
  return parts.map((part, at) => (at === 0 ? part : `|| ${part}`));
}

/** An agent is its key and all of its grants. */
function isCaller(principal: string): string {
  const isAgent = principal.startsWith(keyPrefix) && agentOf(`${principal}.a.000000`) === principal;
  if (!isAgent) return `caller.name == ${text(principal)}`;
  return `caller.name.matches(${text(`^${principal}([.][a-z0-9-]+[.][0-9a-f]{6})?$`)})`;
}

/** Of at most 200 parts, too: each method takes 9, each host 4, and each agent 4. */
function isShort(condition: readonly string[]): boolean {
  const all = condition.join(" ");
  return all.length <= maxCondition && (all.match(/request\.|caller\./g)?.length ?? 0) <= 40;
}

/** In CEL: what is beyond ASCII has an escape, so that a reader sees what is there. */
function text(value: string): string {
  const quoted = value.replace(/["\\]/g, "\\$&");
  const escaped = (letter: string) => `\\U${(letter.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;
  return `"${quoted.replace(/[^\x20-\x7e]/gu, escaped)}"`;
}
