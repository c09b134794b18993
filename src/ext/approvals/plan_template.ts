import { RE2JS } from "re2js";
import type { PlannedRequest } from "../../gen/nexus/v1/approval_pb.js";
import {
  canonicalPath,
  describedUrl,
  exampleOf,
  type Fact,
  type Facts,
  foldedName,
  isEncoded,
  queryOf,
  templateKinds,
  templatePattern,
} from "../../model/access/access.js";
import { didYouMean, type FieldViolation } from "../../model/model.js";

/** Whether a text is one that a template stands for. */
type TextMatch = (text: string) => boolean;

/** One kind of request of a plan, compiled. */
export interface PlanTemplate {
  /** Whether the request goes over http. */
  readonly isPlain: boolean;
  /** Of requests to APIs. What of a request is unknown, it does not cover. */
  covers(facts: Facts): boolean;
}

/** @param field that it stands in @returns the compiled template, or what is wrong with it */
export function compiledTemplate(planned: PlannedRequest, field: string): PlanTemplate | FieldViolation[] {
  const violations: FieldViolation[] = [];
  const textMatch = (template: string, at: string, mayBeText: boolean): TextMatch => {
    const description = violationOf(template, mayBeText);
    if (description !== undefined) violations.push({ field: `${field}.${at}`, description });
    const pattern = RE2JS.compile(description === undefined ? templatePattern(template) : "");
    return (text) => pattern.matches(text);
  };
  const refuse = (description: string) => violations.push({ field: `${field}.url`, description });
  const { isPlain = false, host, target } = describedUrl(planned.url);
  const [path = ""] = target.split("?");
  const inPath = textMatch(path, "url", false);
  const example = exampleOf(path);
  if (canonicalPath(example).path !== example)
    refuse("servers read this path in several ways, or it has a plainer form");
  const isSentAlone = isEncoded(path);
  const inQuery = new Map<string, TextMatch>();
  for (const [name, value] of queryOf(target)) {
    if (value === undefined) refuse(`the parameter ${name} stands there twice`);
    inQuery.set(name, textMatch(value ?? "", "url", true));
  }
  const inBody = new Map<string, TextMatch>();
  for (const [name, value] of Object.entries(planned.body)) {
    if (inBody.has(foldedName(name)))
      violations.push({ field: `${field}.body`, description: `the field ${name} stands there twice` });
    inBody.set(foldedName(name), textMatch(value, "body", true));
  }
  if (violations.length > 0) return violations;
  const isPath = (fact: Fact | undefined) => typeof fact === "string" && inPath(fact);
  const covers = (facts: Facts): boolean => {
    const { otherwise } = facts;
    return (
      facts["request.method"] === planned.method &&
      facts["request.host"] === host &&
      isPath(facts["request.path"]) &&
      (otherwise === undefined || isSentAlone || isPath(otherwise["request.path"])) &&
      hasExactly(facts["request.query"], inQuery) &&
      (inBody.size === 0 || hasExactly(facts["request.body"], inBody))
    );
  };
  return { isPlain, covers };
}

/** Whether each of these is there with one text, and nothing else. An object around one of them is no field of its own. */
function hasExactly(fact: Fact | undefined, wanted: ReadonlyMap<string, TextMatch>): boolean {
  if (!(fact instanceof Map)) return false;
  const names = [...wanted.keys()];
  for (const [name, value] of fact as ReadonlyMap<string, unknown>) {
    const isAround = name === "" || names.some((one) => one.startsWith(`${name}.`));
    if (value === undefined && isAround && !wanted.has(name)) continue;
    // Several texts may be as many mails.
    if (typeof value !== "string" || !wanted.get(name)?.(value)) return false;
  }
  return names.every((name) => fact.has(name));
}

/** @param mayBeText whether `{text}` has a place in it */
function violationOf(template: string, mayBeText: boolean): string | undefined {
  const kinds = templateKinds.filter((kind) => mayBeText || kind !== "text");
  const known = kinds.map((kind) => `{${kind}}`);
  const [unknown] = (template.match(/\{[\w -]*\}/g) ?? []).filter((one) => !known.includes(one));
  if (unknown === undefined) return undefined;
  const hint = didYouMean(unknown.slice(1, -1), kinds) ?? `these are: ${known.join(", ")}`;
  return `${unknown} stands for nothing here: ${hint}`;
}
