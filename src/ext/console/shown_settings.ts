import { parseArgs } from "node:util";
import { commandGroup, defaultOf, type Setting } from "../../config/settings.js";
import type { ShownSetting } from "./kit/request.js";

/** The daemon's settings with where each came from; what may be a secret is not shown. @param given the arguments of the process */
export function settingsOf(
  settings: readonly Setting[],
  environment: NodeJS.ProcessEnv,
  given: readonly string[] = process.argv,
): readonly ShownSetting[] {
  const flags = settings.flatMap(({ flag = "" }) => flag.slice(2) || []);
  const options = Object.fromEntries(flags.map((flag) => [flag, { type: "string" as const }]));
  const { values } = parseArgs({ args: [...given], options, strict: false });
  return settings
    .filter(({ group }) => group !== commandGroup)
    .map((setting) => {
      const { group, name, meaning, flag, kind } = setting;
      // One that stands alone is `true`.
      const argument = values[flag?.slice(2) ?? ""]?.toString();
      const value = argument ?? (environment[name]?.trim() || undefined);
      // What stands before an @ may be a password.
      const isHidden = kind.isHidden === true || value?.includes("@") === true;
      const source =
        argument !== undefined ? "command line" : value !== undefined ? "environment" : "default";
      const shown = value === undefined ? defaultOf(setting) : isHidden ? "set, not shown" : value;
      return { group, name, meaning, source, value: shown };
    });
}
