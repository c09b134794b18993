import { InvalidArgumentError, Option } from "commander";

/** Takes one more value of a flag that can be given again. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

/** A list by its name in the plural or the singular: `--scopes a,b`, or `--scope a --scope b`. Each item counts once. */
export function listOption(names: string, description: string): Option {
  const help = `${description}; separated by commas, or given again`;
  return new Option(`--${names.replace(/s$/, "")}, --${names} <list>`, help).argParser(collectList);
}

function collectList(text: string, before: readonly string[] = []): string[] {
  return [...new Set([...before, ...text.split(/[\s,]+/).filter((item) => item !== "")])];
}

/** Takes one more `name=value`. @throws InvalidArgumentError */
export function collectPair(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("It must read name=value.");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}
