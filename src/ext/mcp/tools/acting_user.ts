import { usageFailure } from "../../../cli/shell/command_failure.js";
import { printable } from "../../../cli/shell/text.js";
import {
  CompiledRestriction,
  type RestrictionLists,
  restrictionFrom,
} from "../../../model/access/scope_restriction.js";
import type { McpPolicy } from "./mcp_policy.js";

/** Of the users whom an error names. */
const maxNamed = 5;

/**
 * On whose behalf a tool acts: as the policy says or the model names, and where only the login name of this machine says it, as the key does
 * that is for one user.
 *
 * @param restrictions of the key
 * @throws CommandFailure that names both for a user whom the key is not for
 */
export function actingUser(
  { userId, isLoginName }: Pick<McpPolicy, "userId" | "isLoginName">,
  restrictions: readonly RestrictionLists[],
  named: string | undefined,
): string {
  const wanted = userId ?? named;
  if (wanted === undefined) throw usageFailure("user: name the user on whose behalf you act");
  const compiled = restrictions.map((one) => new CompiledRestriction(restrictionFrom(one)));
  const isAllowed = (user: string): boolean => compiled.every((one) => one.hasUser(user));
  if (isAllowed(wanted)) return wanted;
  const lists = restrictions.map(({ userIds }) => userIds).filter((list) => list.length > 0);
  const single = lists
    .filter((list) => !list.some((user) => user.endsWith("*")))
    .map((list) => list.filter(isAllowed))
    .find((list) => list.length === 1);
  if (isLoginName && single?.[0] !== undefined) return single[0];
  const [users = []] = lists;
  const more = users.length > maxNamed ? ` and ${users.length - maxNamed} more` : "";
  const forWhom = `${users.slice(0, maxNamed).join(", ")}${more}`;
  throw usageFailure(
    printable(
      `this key is for the users ${forWhom}, and not for ${wanted}${adviceTo({ userId, isLoginName })}`,
    ),
  );
}

function adviceTo({ userId, isLoginName }: Pick<McpPolicy, "userId" | "isLoginName">): string {
  if (userId === undefined) return ": name another user";
  if (isLoginName) return ", your login name: start nexusd mcp with --user or --any-user";
  return ", as nexusd mcp --user says";
}
