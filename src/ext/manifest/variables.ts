import { readFileSync, statSync } from "node:fs";
import type { Expansion } from "../../document/yaml_document.js";

/** The variables that a manifest may name. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** `$$`, or a variable: its name, and the brace that ends it. */
const reference = /\$\$|\$\{([^}]*)(\}?)/g;

const secretName = /secret|password|passwd|token|key|credential/i;

/** Puts the values of `${VAR}` into one value; `$$` is a dollar sign, and a dollar sign before anything else is itself. */
export function expandVariables(text: string, variables: Variables): Expansion {
  const violations: string[] = [];
  const secrets: string[] = [];
  const expanded = text.replace(reference, (match, name: string | undefined, end: string) => {
    if (name === undefined) return "$";
    if (end === "" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      violations.push(
        "a variable is a dollar sign and a name in braces; a dollar sign itself is written twice",
      );
      return match;
    }
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (value === undefined) violations.push(`the variable ${name} is not set`);
    else if (value !== "" && secretName.test(name)) secrets.push(value);
    return value ?? "";
  });
  return { text: expanded, violations, secrets };
}

/** The inverse: text that expands to itself. */
export function escapeVariables(text: string): string {
  return text.replaceAll("$", "$$$$");
}

/** The environment of a program that is not to have what a manifest names: secrets of clients, for the daemon alone. */
export function withoutVariablesOf(
  manifest: string | undefined,
  environment: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const named = new Set(manifest === undefined ? [] : namesIn(manifest));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !named.has(name)));
}

function namesIn(path: string): string[] {
  try {
    const text = statSync(path).isFile() ? readFileSync(path, "utf8") : "";
    return [...text.matchAll(reference)].flatMap(([, name]) => name ?? []);
  } catch {
    // Whoever applies it says why.
    return [];
  }
}
