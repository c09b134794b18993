import type { ConnectionServiceRequestConnectionResponse as RequestAnswer } from "../../gen/nexus/v1/connection_pb.js";
import { findProvider } from "../providers/provider_key.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import { printable } from "../shell/text.js";

/** What to compare where the provider refuses client or redirect URI, which it tells the browser alone; empty where none comes back. */
export async function redirectHint(
  session: DaemonSession,
  { providerId, redirectUri }: Pick<RequestAnswer, "providerId" | "redirectUri">,
): Promise<string> {
  if (redirectUri === "") return "";
  // A caller who may not read the provider does without the client ID.
  const clientId = await findProvider(session, providerId).then(
    ({ provider }) => ` ${provider.clientId}`,
    () => "",
  );
  return `If the provider shows an error, compare with what is registered there: the client ID${printable(clientId)}, and this redirect URI, character by character:\n\n  ${printable(redirectUri)}\n\n`;
}
