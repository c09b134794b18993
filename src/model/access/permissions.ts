import { type Action, accessTable, type Permission, type Role } from "./access_table.js";
import { isReadingList, isWithinMethods } from "./reading_requests.js";
import type { FactName, Facts } from "./request_facts.js";
import { type Condition, isEncoded, type Rule } from "./rules.js";
import {
  CompiledRestriction,
  describeRestriction,
  type Resource,
  type Restriction,
  Texts,
} from "./scope_restriction.js";
import type { UseLimit } from "./use_limit.js";

/** Where it is written what a principal may. */
export interface RulePlace {
  /** One sentence. */
  readonly text: string;
  /** Of the policy file, from 1; 0 for a rule outside of that file. */
  readonly line: number;
}

/** A role, and for an agent what it is restricted to. */
export interface RoleRule {
  readonly role: Role;
  /** Present for an agent, and for nobody else. */
  readonly restriction: Restriction | undefined;
  /** Of an API key. */
  readonly uses?: UseLimit | undefined;
  readonly place: RulePlace;
}

export interface Decision {
  /** `restricted` when the question named no resource. */
  readonly permission: Permission;
  /** The rule that decided. */
  readonly place: RulePlace;
}

interface CompiledRule extends RoleRule {
  readonly compiled: CompiledRestriction | undefined;
}

/** What one principal may: nothing without a rule, and with several only what each of them allows. */
export class Permissions {
  readonly rules: readonly RoleRule[];
  readonly #rules: readonly CompiledRule[];
  readonly #nobody: RulePlace;
  readonly isRestricted: boolean;
  /** A text that is the same for two grants that allow the same. */
  readonly fingerprint: string;

  /** Of its API key. */
  readonly uses: UseLimit | undefined;

  /** Of requests to APIs: those of the restrictions, and then those of the policy file. */
  readonly requestRules: readonly Rule[];

  /**
   * @param nobody why there is no rule, for when there is none
   * @param policy the policy file, if there is one
   */
  constructor(
    rules: readonly RoleRule[],
    nobody: RulePlace,
    private readonly policy?: { readonly rules: readonly Rule[]; readonly digest: string },
  ) {
    this.rules = rules;
    this.requestRules = [...rules.flatMap(restrictionRules), ...(policy?.rules ?? [])];
    this.#rules = rules.map((rule) => ({
      ...rule,
      compiled: rule.restriction && new CompiledRestriction(rule.restriction),
    }));
    this.#nobody = nobody;
    this.uses = rules.find(({ uses }) => uses !== undefined)?.uses;
    this.isRestricted = this.#rules.some(({ compiled }) => compiled !== undefined);
    const own = rules.map(({ role, restriction }) => [role, restriction ?? null]);
    this.fingerprint = JSON.stringify(
      this.requestRules.length === 0 || this.role === "admin" ? own : [own, policy?.digest],
    );
  }

  /** What is left of it when it is restricted further; where there was nothing, there is nothing. */
  restrictedTo(restrictions: readonly Restriction[], place: RulePlace): Permissions {
    if (this.rules.length === 0 || restrictions.length === 0) return this;
    const added = restrictions.map((restriction): RoleRule => ({ role: "agent", restriction, place }));
    return new Permissions([...this.rules, ...added], this.#nobody, this.policy);
  }

  /** That of the rule which allows least. */
  get role(): Role | undefined {
    const order: readonly Role[] = ["agent", "operator", "admin"];
    return order.find((role) => this.rules.some((rule) => rule.role === role));
  }

  /** What the table says of the action, before any resource is looked at. */
  permissionFor(action: Action): Permission {
    let permission: Permission = this.#rules.length === 0 && action !== "self.read" ? "denied" : "allowed";
    for (const { role } of this.#rules) {
      const given = accessTable[action][role];
      if (given === "denied") return "denied";
      if (given === "restricted") permission = "restricted";
    }
    return permission;
  }

  /** Whether the resource is within every restriction. */
  contains(resource: Resource): boolean {
    for (const { compiled } of this.#rules) {
      if (compiled !== undefined && !compiled.contains(resource)) return false;
    }
    return true;
  }

  /** The one judgement, with the rule that decides it. */
  decide(action: Action, resource?: Resource): Decision {
    const [first] = this.#rules;
    if (first === undefined) {
      return { permission: action === "self.read" ? "allowed" : "denied", place: this.#nobody };
    }
    const denying = this.#rules.find(({ role }) => accessTable[action][role] === "denied");
    if (denying) return { permission: "denied", place: denying.place };
    const confining = this.#rules.filter(({ role }) => accessTable[action][role] === "restricted");
    const [restrictedBy] = confining;
    if (restrictedBy === undefined) return { permission: "allowed", place: first.place };
    if (resource === undefined) return { permission: "restricted", place: restrictedBy.place };
    const outside = confining.find(({ compiled }) => compiled?.contains(resource) !== true);
    return outside
      ? { permission: "denied", place: outside.place }
      : { permission: "allowed", place: restrictedBy.place };
  }
}

/** What a list of methods or paths says, as rules. */
function restrictionRules({ restriction, place }: RoleRule): Rule[] {
  const { methods, paths } = restriction ?? {};
  const rules: Rule[] = [];
  const deny = (
    asks: readonly FactName[],
    isInside: (facts: Facts) => boolean | undefined,
    isEncoded = false,
  ) => {
    const when: Condition = (facts) => {
      const inside = isInside(facts);
      return inside === undefined ? undefined : !inside;
    };
    const always = { providers: undefined, extent: [], line: 0, verdict: "deny" } as const;
    rules.push({ ...always, when, asks: new Set(asks), isEncoded, because: place.text });
  };
  if (methods)
    deny(["request.method", ...(isReadingList(methods) ? (["request.reads"] as const) : [])], (facts) =>
      isWithinMethods(methods, {
        method: facts["request.method"] as string | undefined,
        reads: facts["request.reads"] as boolean | undefined,
      }),
    );
  const pathTexts = paths && new Texts(paths);
  if (paths && pathTexts)
    deny(
      ["request.path"],
      ({ "request.path": path }) => (path === undefined ? undefined : pathTexts.has(path as string)),
      paths.some(isEncoded),
    );
  return rules;
}

/** `role agent, restricted to users ada` */
export function describeRule(role: Role, restriction: Restriction | undefined): string {
  return restriction ? `role ${role}, restricted to ${describeRestriction(restriction)}` : `role ${role}`;
}
