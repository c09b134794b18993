import { type Restriction, Role } from "../../../gen/nexus/v1/access_pb.js";

export const roleWords: Readonly<Record<Role, string>> = {
  [Role.UNSPECIFIED]: "None",
  [Role.ADMIN]: "Admin",
  [Role.OPERATOR]: "Operator",
  [Role.AGENT]: "Agent",
};

/** What an agent is restricted to; undefined for another role. */
export function restrictionWords(restriction: Restriction | undefined): string | undefined {
  if (!restriction) return undefined;
  const { userIds, providers, connectionIds } = restriction;
  const parts = [
    ["users", userIds],
    ["providers", providers],
    ["connections", connectionIds],
  ] as const;
  return parts
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${name} ${values.join(", ")}`)
    .join("; ");
}
