import { type Expansion, reference } from "../../document/document.js";

/** The variables that a manifest may name. */
export type Variables = Readonly<Record<string, string | undefined>>;

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
