import { commandGroup, defaultOf, settings } from "../../config/settings.js";
import type { ShownSetting } from "./kit/request.js";

/** The daemon's settings with where each came from; what may be a secret is not shown. @param given the arguments of the process */
export function settingsOf(
  environment: NodeJS.ProcessEnv,
  given: readonly string[] = process.argv,
): readonly ShownSetting[] {
  return settings
    .filter(({ group }) => group !== commandGroup)
    .map((setting) => {
      const { group, name, meaning, flag, kind } = setting;
      const argument = flag === undefined ? undefined : argumentOf(flag, given);
      const value = argument ?? (environment[name]?.trim() || undefined);
      // What stands before an @ may be a password.
      const isHidden = kind.isHidden === true || value?.includes("@") === true;
      const source =
        argument !== undefined ? "command line" : value !== undefined ? "environment" : "default";
      const shown = value === undefined ? defaultOf(setting) : isHidden ? "set, not shown" : value;
      return { group, name, meaning, source, value: shown };
    });
}

/** What a flag was given; `true` for one that stands alone. */
function argumentOf(flag: string, given: readonly string[]): string | undefined {
  const joined = given.findLast((each) => each.startsWith(`${flag}=`));
  if (joined !== undefined) return joined.slice(flag.length + 1);
  const index = given.lastIndexOf(flag);
  if (index < 0) return undefined;
  const next = given[index + 1];
  return next === undefined || next.startsWith("--") ? "true" : next;
}
