import { type Action, accessTable, type Permission, type Role } from "./access_table.js";
import { CompiledConfinement, type Confinement, describeConfinement, type Resource } from "./scope_restriction.js";

/** Where it is written what a principal may. */
export interface RulePlace {
  /** One sentence. */
  readonly text: string;
  /** Of the policy file, from 1; 0 when it stands elsewhere. */
  readonly line: number;
}

/** A role, and for an agent what it is confined to. */
export interface RoleRule {
  readonly role: Role;
  /** Present for an agent, and for nobody else. */
  readonly confinement: Confinement | undefined;
  readonly place: RulePlace;
}

export interface Decision {
  /** `confined` when no resource was asked about. */
  readonly permission: Permission;
  /** The rule that decided. */
  readonly place: RulePlace;
}

interface CompiledRule extends RoleRule {
  readonly compiled: CompiledConfinement | undefined;
}

/** What one principal may: nothing without a rule, and with several only what each of them allows. */
export class Grant {
  readonly rules: readonly RoleRule[];
  readonly #rules: readonly CompiledRule[];
  readonly #nobody: RulePlace;
  readonly isConfined: boolean;
  /** A text that is the same for two grants that allow the same. */
  readonly fingerprint: string;

  /** @param nobody why there is no rule, for when there is none */
  constructor(rules: readonly RoleRule[], nobody: RulePlace) {
    this.rules = rules;
    this.#rules = rules.map((rule) => ({
      ...rule,
      compiled: rule.confinement && new CompiledConfinement(rule.confinement),
    }));
    this.#nobody = nobody;
    this.isConfined = this.#rules.some(({ compiled }) => compiled !== undefined);
    this.fingerprint = JSON.stringify(rules.map(({ role, confinement }) => [role, confinement ?? null]));
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
      const stated = accessTable[action][role];
      if (stated === "denied") return "denied";
      if (stated === "confined") permission = "confined";
    }
    return permission;
  }

  /** Whether the resource is within every confinement. */
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
    const confining = this.#rules.filter(({ role }) => accessTable[action][role] === "confined");
    const [confinedBy] = confining;
    if (confinedBy === undefined) return { permission: "allowed", place: first.place };
    if (resource === undefined) return { permission: "confined", place: confinedBy.place };
    const outside = confining.find(({ compiled }) => compiled?.contains(resource) !== true);
    return outside
      ? { permission: "denied", place: outside.place }
      : { permission: "allowed", place: confinedBy.place };
  }
}

/** `role agent, confined to users ada` */
export function describeRule({ role, confinement }: Pick<RoleRule, "role" | "confinement">): string {
  return confinement ? `role ${role}, confined to ${describeConfinement(confinement)}` : `role ${role}`;
}
