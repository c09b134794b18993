import { Code, ConnectError } from "@connectrpc/connect";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { isId } from "../../model/ids.js";
import { canonicalName } from "../../model/providers/provider_profile.js";
import { didYouMean } from "../../model/suggestions.js";
import { CommandFailure } from "../shell/command_failure.js";
import { allPages, type DaemonSession } from "../shell/daemon_command.js";

/** Finds a profile by its id or its name. */
export async function findProvider(
  session: DaemonSession,
  idOrName: string,
): Promise<{ readonly provider: Provider; readonly redirectUri: string }> {
  const id = idOrName.trim().toLowerCase();
  const key = isId(id)
    ? ({ case: "id", value: id } as const)
    : ({ case: "name", value: canonicalName(idOrName) } as const);
  const { provider, redirectUri } = await suggestingProviders(session, idOrName, () =>
    session.call(`find the provider ${idOrName}`, (options) =>
      session.daemon.providers.getProvider({ key }, options),
    ),
  );
  if (!provider) throw new Error("the daemon answered without a provider");
  return { provider, redirectUri };
}

/** Does `work`; when it finds no provider of this name, the failure names those that may be meant. */
export async function suggestingProviders<Answer>(
  session: DaemonSession,
  idOrName: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailure && error.cause instanceof ConnectError)) throw error;
    if (error.cause.code !== Code.NotFound) throw error;
    // Who may not list the providers reads the failure alone.
    const names = await allProviders(session).catch(() => []);
    const hint =
      didYouMean(
        canonicalName(idOrName),
        names.map(({ name }) => name),
      ) ?? "see nexusd provider list";
    throw new CommandFailure(error.exitCode, `${error.message}\n${hint}`, error.cause);
  }
}

export function allProviders({ daemon, call }: DaemonSession): Promise<Provider[]> {
  return allPages(async (pageToken) => {
    const { providers, nextPageToken } = await call("list the providers", (options) =>
      daemon.providers.listProviders({ pageToken, pageSize: 1000 }, options),
    );
    return { items: providers, nextPageToken };
  });
}
