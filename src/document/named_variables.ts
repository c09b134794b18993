import { readFileSync, statSync } from "node:fs";

/** `$$`, or a variable: its name, and the brace that ends it. */
export const reference = /\$\$|\$\{([^}]*)(\}?)/g;

/** The environment of a program that is not to have what a file names: secrets of clients, for the daemon alone. */
export function withoutVariablesOf(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const named = new Set(file === undefined ? [] : namesIn(file));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !named.has(name)));
}

function namesIn(path: string): string[] {
  try {
    const text = statSync(path).isFile() ? readFileSync(path, "utf8") : "";
    return [...text.matchAll(reference)].flatMap(([, name]) => name ?? []);
  } catch {
    // Its callers log the reason.
    return [];
  }
}
