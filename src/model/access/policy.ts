import { isId } from "../ids.js";
import { didYouMean } from "../suggestions.js";
import type { Role } from "./access_table.js";
import { describeRule, type RoleRule } from "./permissions.js";
import type { Rule } from "./rules.js";
import type { Restriction } from "./scope_restriction.js";
import { restrictionFor } from "./service_account.js";

/** Principals, and what they are. */
export interface PolicyBinding {
  /** Names, or beginnings of names that end with `*`. */
  readonly principals: readonly string[];
  readonly role: Role;
  readonly restriction: Restriction | undefined;
  /** In the file, from 1. */
  readonly line: number;
  /** The source of the rule, where it is not the policy file. */
  readonly origin?: string;
}

/** What a policy file says. The first binding that names a principal is its own; later ones are not looked at. */
export class Policy {
  readonly #exact = new Map<string, PolicyBinding>();
  readonly #prefixes: { readonly prefix: string; readonly binding: PolicyBinding; readonly order: number }[] =
    [];
  readonly #order = new Map<PolicyBinding, number>();
  /** The first rule that sets labels of sessions, or goes by them. */
  readonly remembering: Rule | undefined;
  /** The first rule that limits uses. */
  readonly limiting: Rule | undefined;

  /** @param digest of the file, hexadecimal */
  constructor(
    readonly bindings: readonly PolicyBinding[],
    readonly digest: string,
    /** Of requests, in their order. */
    readonly rules: readonly Rule[] = [],
    /** Principals that show requests of others, and put credentials into them. */
    readonly proxies: ReadonlySet<string> = new Set(),
  ) {
    this.remembering = rules.find(({ labels, asks }) => labels !== undefined || asks.has("session.labels"));
    this.limiting = rules.find(({ uses }) => uses !== undefined);
    for (const [order, binding] of bindings.entries()) {
      this.#order.set(binding, order);
      for (const name of binding.principals) {
        if (name.endsWith("*")) this.#prefixes.push({ prefix: name.slice(0, -1), binding, order });
        else if (!this.#exact.has(name)) this.#exact.set(name, binding);
      }
    }
  }

  ruleFor(principalName: string): RoleRule | undefined {
    const exact = this.#exact.get(principalName);
    const pattern = this.#prefixes.find(({ prefix }) => principalName.startsWith(prefix));
    const exactOrder = exact && this.#order.get(exact);
    const isPatternFirst = pattern !== undefined && (exactOrder === undefined || pattern.order < exactOrder);
    const binding = isPatternFirst ? pattern.binding : exact;
    if (!binding) return undefined;
    const { role, line, principals, origin = "the policy file" } = binding;
    const text = `${origin} binds ${principals.join(", ")}: ${describeRule(role, binding.restriction)}`;
    return { role, restriction: restrictionFor(binding.restriction, principalName), place: { text, line } };
  }
}

/** Each place of the file that names a provider that does not exist, in one sentence. @param known names of providers */
export function unknownProviders(
  { bindings, rules }: Policy,
  known: readonly string[],
): readonly { readonly line: number; readonly text: string }[] {
  const named = [
    ...bindings.map(({ line, restriction }) => ({ line, names: restriction?.providers ?? [] })),
    ...rules.map(({ line, providers }) => ({ line, names: [...(providers ?? [])] })),
  ];
  const names = new Set(known);
  return named.flatMap(({ line, names: given }) =>
    given
      .filter((name) => name !== "*" && !isId(name) && !names.has(name))
      .map((name) => {
        const meant = didYouMean(name, known);
        return { line, text: `there is no provider ${name}${meant === undefined ? "" : `: ${meant}`}` };
      }),
  );
}

/** What is worth a word to somebody who asks about a provider; undefined where a rule judges its requests, and where the file has no rules. */
export function unruled({ rules }: Policy, providerName: string): string | undefined {
  if (
    rules.length === 0 ||
    rules.some(({ providers, isShadow }) => !isShadow && (providers?.has(providerName) ?? true))
  )
    return undefined;
  return `no rule names ${providerName}: its requests are not judged (default: deny denies them)`;
}

/** What names in a policy file begin with. `owner` and `admin` are always admin, and are not bound. */
export const principalPrefixes = ["key:", "cert:", "jwt:", "uid:"] as const;
