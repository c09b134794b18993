import { exitCodes } from "../../core/exit_codes.js";
import { CompiledRestriction, type RestrictionLists, restrictionFrom } from "../../model/access/access.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { printable } from "../shell/text.js";

/** Of the users whom a message names. */
const maxNamed = 5;

/**
 * Names both where a key is for other users than the one that was asked for.
 *
 * @param restrictions of the key
 * @returns undefined where the key is for this user
 */
export function otherUsers(restrictions: readonly RestrictionLists[], userId: string): string | undefined {
  const isOther = (one: RestrictionLists): boolean =>
    !new CompiledRestriction(restrictionFrom(one)).hasUser(userId);
  const users = restrictions.find(isOther)?.userIds;
  if (!users) return undefined;
  const more = users.length > maxNamed ? ` and ${users.length - maxNamed} more` : "";
  const named = `${users.slice(0, maxNamed).join(", ")}${more}`;
  return printable(`this key is for user${users.length === 1 ? "" : "s"} ${named}; you asked for ${userId}`);
}

/**
 * Refuses a user whom the key of the caller is not for: another consent would not help. A daemon that does not say who the caller is
 * refuses nobody.
 *
 * @param doing what was asked for, as in "cannot ..."
 * @param advice what to do, after the users
 * @throws CommandFailure that names both
 */
export async function refuseOtherUser(
  { call, daemon }: DaemonSession,
  doing: string,
  userId: string,
  advice = "",
): Promise<void> {
  const caller = await call("ask who this is", daemon.access.whoAmI, {}).catch(() => undefined);
  const why = otherUsers(caller?.restrictions ?? [], userId);
  if (why !== undefined)
    throw new CommandFailure(exitCodes.failed, printable(`cannot ${doing}: ${why}${advice}`));
}
