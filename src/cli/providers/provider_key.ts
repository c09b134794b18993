import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { isId } from "../../model/ids.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import type { DaemonSession } from "../shell/daemon_command.js";

/** Finds a profile by its id or its name. */
export async function findProvider(
  { daemon, call }: DaemonSession,
  idOrName: string,
): Promise<{ readonly provider: Provider; readonly redirectUri: string }> {
  const id = idOrName.trim().toLowerCase();
  const key = isId(id)
    ? ({ case: "id", value: id } as const)
    : ({ case: "name", value: canonicalName(idOrName) } as const);
  const { provider, redirectUri } = await call(`find the provider ${idOrName}`, (options) =>
    daemon.providers.getProvider({ key }, options),
  );
  if (!provider) throw new Error("the daemon answered without a provider");
  return { provider, redirectUri };
}
