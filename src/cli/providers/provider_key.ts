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
    throw new CommandFailure(
      error.exitCode,
      `${error.message}\n${await hintFor(session, idOrName)}`,
      error.cause,
    );
  }
}

/** Who may not list providers or templates is told as if there were none. */
async function hintFor(session: DaemonSession, idOrName: string): Promise<string> {
  const wanted = canonicalName(idOrName);
  const names = await allProviders(session).catch(() => []);
  const meant = didYouMean(
    wanted,
    names.map(({ name }) => name),
  );
  if (meant !== undefined) return meant;
  return (await hasTemplate(session, wanted).catch(() => false))
    ? `register it first; how: nexusd provider show ${wanted} --template`
    : "see nexusd provider list";
}

async function hasTemplate({ daemon, call }: DaemonSession, wanted: string): Promise<boolean> {
  // The first of those that begin with a name is that of the name itself.
  const { templates } = await call("list the templates", (options) =>
    daemon.providers.listProviderTemplates({ namePrefix: wanted, pageSize: 1 }, options),
  );
  return templates[0]?.name === wanted;
}

export function allProviders({ daemon, call }: DaemonSession): Promise<Provider[]> {
  return allPages(async (pageToken) => {
    const { providers, nextPageToken } = await call("list the providers", (options) =>
      daemon.providers.listProviders({ pageToken, pageSize: 1000 }, options),
    );
    return { items: providers, nextPageToken };
  });
}
