import { createHash } from "node:crypto";
import {
  type DocumentViolation,
  type Path,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import {
  bodyFacts,
  type Extent,
  extents,
  type FactName,
  factKinds,
  isEncoded,
  maxHoldMs,
  maxRuleApprovers,
  minHoldMs,
  ownLabels,
  parseUseLimit,
  type Rule,
  type RuleUses,
  requestLabels,
  verdicts,
} from "../../model/access/access.js";
import {
  didYouMean,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseDurationText,
} from "../../model/model.js";
import { ConditionError, compileCondition } from "./condition.js";

/** Each is evaluated for each request. */
const maxRules = 200;
const maxReason = 200;
/** Of one rule. */
const maxLabels = 10;
const labelPattern = /^([a-z0-9][a-z0-9_-]{0,31}|request\.labels)$/;
const labelWords = `labels: at most 32 lower-case letters, digits, dashes, and underscores; or ${ownLabels}`;
const keys = ["providers", "when", "then", "because", "for", "hold", "approvers", "label", "uses", "shadow"];

/** Keys of the file that are about requests. */
export const rulesKeys = ["rules", "default"];

/** The `rules` of a policy file, compiled, and every error with its place. `default: deny` is a last rule for all. */
export function readRules(document: YamlDocument): {
  readonly rules: readonly Rule[];
  readonly violations: readonly DocumentViolation[];
} {
  const reading = new RulesReading(document);
  return { rules: [...reading.read(), ...reading.default()], violations: reading.violations };
}

class RulesReading {
  readonly violations: DocumentViolation[] = [];
  /** Of sessions, by where a condition asks for them. */
  readonly #asked: { readonly label: string; readonly path: Path }[] = [];

  constructor(private readonly document: YamlDocument) {}

  read(): Rule[] {
    const { value } = this.document;
    if (!isJsonObject(value) || !Object.hasOwn(value, "rules")) return [];
    const list = value["rules"];
    if (!Array.isArray(list)) this.#violation(["rules"], "rules: must be a list");
    else if (list.length > maxRules) this.#violation(["rules"], `rules: holds at most ${maxRules} entries`);
    else return this.#rules(list as JsonValue[]);
    return [];
  }

  #rules(list: readonly JsonValue[]): Rule[] {
    const rules = list.flatMap((json, index) => this.#rule(json, ["rules", index]) ?? []);
    const set = new Set(
      rules.flatMap(({ labels = [] }) =>
        labels.flatMap((one) => (one === ownLabels ? Object.keys(requestLabels) : one)),
      ),
    );
    for (const { label, path } of this.#asked.filter((one) => !set.has(one.label))) {
      const meant = didYouMean(label, [...set]);
      const hint = meant === undefined ? "" : `: ${meant}`;
      this.#violation(path, `when: no rule sets the label ${label}${hint}`);
    }
    return rules;
  }

  default(): Rule[] {
    const { value } = this.document;
    if (!isJsonObject(value) || !Object.hasOwn(value, "default")) return [];
    const { default: verdict } = value;
    if (verdict !== "allow" && verdict !== "deny")
      this.#violation(["default"], "default: must be one of allow, deny");
    if (verdict !== "deny") return [];
    const always = { providers: undefined, when: undefined, asks: new Set<never>(), extent: [] };
    const { line } = this.document.placeOf(["default"]);
    return [{ ...always, verdict, because: "the file denies what no rule allows", line }];
  }

  #rule(json: JsonValue, path: Path): Rule | undefined {
    if (!isJsonObject(json)) {
      this.#violation(path, "a rule must be keys and values");
      return undefined;
    }
    this.violations.push(...unknownKeys(this.document, json, path, keys));
    const verdict = verdicts.find((known) => known === json["then"]);
    if (verdict === undefined)
      this.#violation([...path, "then"], `then: must be one of ${verdicts.join(", ")}`);
    const providers = this.#texts(
      json,
      path,
      "providers",
      /^([a-z0-9-]{1,63}|\*)$/,
      "names of providers, or *",
    );
    const extent = this.#texts(json, path, "for", /^(session|hour)$/, extents.join(" and ")) as Extent[];
    if (extent.length > 0 && verdict !== "ask")
      this.#violation([...path, "for"], "for: belongs to then: ask");
    const labels = this.#texts(json, path, "label", labelPattern, labelWords);
    if (labels.length > 0 && verdict !== "allow" && verdict !== "ask")
      this.#violation([...path, "label"], "label: belongs to then: allow, or to then: ask");
    if (labels.length > maxLabels)
      this.#violation([...path, "label"], `label: holds at most ${maxLabels} entries`);
    const when = this.#condition(json, path);
    const because = this.#because(json, path);
    const isAny = providers.length === 0 || providers.includes("*");
    const asks = factsIn(String(json["when"]));
    return {
      ...{ providers: isAny ? undefined : new Set(providers), when, because, extent },
      verdict: verdict ?? "deny",
      ...{ asks, isEncoded: isEncoded(String(json["when"])) },
      ...(typeof json["when"] === "string" && { condition: json["when"].trim() }),
      ...(this.#isShadow(json, path, verdict, asks) && { isShadow: true as const }),
      ...(labels.length > 0 && { labels }),
      ...this.#uses(json, path, verdict),
      ...this.#hold(json, path, verdict),
      ...this.#approvers(json, path, verdict),
      line: this.document.placeOf(path).line,
    };
  }

  #condition(json: JsonObject, path: Path): Rule["when"] {
    const text = json["when"];
    if (text === undefined) return undefined;
    const at = [...path, "when"];
    if (typeof text !== "string") {
      this.#violation(at, "when: must be a text: put it into quotes");
      return undefined;
    }
    try {
      const labels = new Set<string>();
      const condition = compileCondition(text, labels);
      this.#asked.push(...[...labels].map((label) => ({ label, path: at })));
      return condition;
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      this.#violation(at, `when: ${error.message} (character ${error.column} of the condition)`);
      return undefined;
    }
  }

  #uses(json: JsonObject, path: Path, verdict: string | undefined): { readonly uses?: RuleUses } {
    const given = json["uses"];
    if (given === undefined) return {};
    const at = [...path, "uses"];
    const limit = parseUseLimit(typeof given === "number" || typeof given === "string" ? `${given}` : "");
    if (typeof limit === "string") this.#violation(at, `uses: ${limit}`);
    if (verdict !== "allow" && verdict !== "ask")
      this.#violation(at, "uses: belongs to then: allow, or to then: ask");
    if (typeof limit === "string") return {};
    const said = ["providers", "when", "then", "uses"].map((key) => json[key] ?? null);
    const id = createHash("sha256").update(JSON.stringify(said)).digest("hex");
    return { uses: { limit, id } };
  }

  #hold(json: JsonObject, path: Path, verdict: string | undefined): { readonly holdMs?: number } {
    const given = json["hold"];
    if (given === undefined) return {};
    const at = [...path, "hold"];
    if (verdict !== "ask") this.#violation(at, "hold: belongs to then: ask");
    const holdMs = typeof given === "string" ? parseDurationText(given) : undefined;
    if (holdMs !== undefined && holdMs >= minHoldMs && holdMs <= maxHoldMs) return { holdMs };
    this.#violation(at, "hold: must be a duration from 10s to 24h, such as 30m");
    return {};
  }

  #approvers(json: JsonObject, path: Path, verdict: string | undefined): { readonly approvers?: number } {
    const given = json["approvers"];
    if (given === undefined) return {};
    const at = [...path, "approvers"];
    if (verdict !== "ask") this.#violation(at, "approvers: belongs to then: ask");
    if (typeof given !== "number" || !Number.isInteger(given) || given < 1 || given > maxRuleApprovers) {
      this.#violation(at, `approvers: must be a whole number from 1 to ${maxRuleApprovers}`);
      return {};
    }
    // Each says yes to one request: nobody can say what several mean by an hour.
    if (given > 1 && Object.hasOwn(json, "for"))
      this.#violation(
        [...path, "for"],
        "for: belongs to a rule with one approver: what several approve counts once",
      );
    return given > 1 ? { approvers: given } : {};
  }

  #isShadow(json: JsonObject, path: Path, verdict: string | undefined, asks: Rule["asks"]): boolean {
    const { shadow = false } = json;
    const at = [...path, "shadow"];
    if (typeof shadow !== "boolean") this.#violation(at, "shadow: must be true or false");
    if (shadow !== true) return false;
    if (verdict !== "deny") this.#violation(at, "shadow: belongs to then: deny");
    // A body is read where a rule in force goes by it: nothing of a request changes for a rule in shadow.
    if (bodyFacts.some((name) => asks.has(name)))
      this.#violation(at, `shadow: cannot go with ${bodyFacts.join(", ")}, since no body is read for it`);
    return true;
  }

  #because(json: JsonObject, path: Path): string {
    const text = json["because"] ?? "";
    if (typeof text === "string" && text.length <= maxReason && !/\p{C}/u.test(text)) return text;
    this.#violation([...path, "because"], `because: must be one line of at most ${maxReason} characters`);
    return "";
  }

  #texts(json: JsonObject, path: Path, key: string, pattern: RegExp, what: string): string[] {
    if (!Object.hasOwn(json, key)) return [];
    const list = json[key];
    const isGood = Array.isArray(list) && list.length > 0 && list.length <= 1_000;
    if (isGood && list.every((item) => typeof item === "string" && pattern.test(item)))
      return list as string[];
    this.#violation([...path, key], `${key}: must be a list of ${what}`);
    return [];
  }

  #violation(path: Path, message: string): void {
    this.violations.push({ ...this.document.placeOf(path), message });
  }
}

/** What a condition may ask for: every fact that it names, if only in a text. */
function factsIn(condition: string): ReadonlySet<FactName> {
  const names = Object.keys(factKinds) as FactName[];
  return new Set(names.filter((name) => new RegExp(name.replace(".", "\\s*\\.\\s*")).test(condition)));
}
