import { InvalidArgumentError } from "commander";

/** Takes one more value of a flag that can be given again. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
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
