import { printable, usageFailure } from "../../../cli/kit.js";

/** Who and where the program is, and how it writes: nothing of these is a secret. */
const passed =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|COLORTERM|TERM_PROGRAM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|CLICOLOR|CLICOLOR_FORCE|LANG|LANGUAGE|LC_[A-Z]+|TZ)$/;
const ofNexusd = /^NEXUS_/;

/**
 * What an isolated program gets of the environment of `nexusd run`.
 *
 * @param named variables beyond those that every program gets
 * @throws CommandFailure for a name that is not set, or is nexusd's own
 */
export function cleanEnvironment(env: NodeJS.ProcessEnv, named: readonly string[]): NodeJS.ProcessEnv {
  for (const name of named) {
    const option = `--env ${printable(name)}`;
    if (name.includes("="))
      throw usageFailure(
        "--env takes the name of a variable: set it before, such as NAME=value nexusd run --env NAME",
      );
    if (ofNexusd.test(name)) throw usageFailure(`${option}: variables of nexusd are not for the program`);
    if (env[name] === undefined)
      throw usageFailure(`${option}: no such variable is set: export it, or leave --env out`);
  }
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => passed.test(name) || named.includes(name)),
  );
}
