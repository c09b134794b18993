import { grantOf, keyPrincipalName } from "../../model/access/access.js";

export const keyPrefix = keyPrincipalName("");

/** The agent that a principal is: all grants of an agent are the agent. */
export function agentOf(principalName: string): string {
  const grant = principalName.startsWith(keyPrefix) && grantOf(principalName.slice(keyPrefix.length));
  return grant ? keyPrincipalName(grant.agent) : principalName;
}
