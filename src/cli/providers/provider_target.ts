import type { CreateProviderResponse, UpdateProviderResponse } from "../../gen/nexus/v1/provider_pb.js";
import type { ProfileTarget } from "../../ext/manifest/apply.js";
import type { CurrentProfile } from "../../ext/manifest/plan.js";
import { profileMessage, profileSettings } from "../../model/providers/profile_fields.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";
import { allProviders } from "./provider_key.js";

/** The profiles of the daemon, for a plan. */
export async function readProfiles(session: DaemonSession): Promise<CurrentProfile[]> {
  return (await allProviders(session)).map((provider) => ({
    id: provider.id,
    etag: provider.etag,
    settings: profileSettings(provider),
    clientSecretSet: provider.clientSecretSet,
  }));
}

/** What would keep a person from consenting at a profile that was written; beside the answer, which may be JSON. */
export function printWarnings(
  { stderr }: Pick<Shell, "stderr">,
  { provider, warnings }: CreateProviderResponse | UpdateProviderResponse,
): void {
  for (const warning of warnings) stderr.write(`warning: ${provider?.name ?? ""}: ${printable(warning)}\n`);
}

/** Carries a plan out over the API. */
export function targetOf(shell: Pick<Shell, "stderr">, { daemon, call }: DaemonSession): ProfileTarget {
  return {
    create: async (settings, clientSecret) => {
      const provider = profileMessage(settings);
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`create the provider ${settings.name}`, (options) =>
        daemon.providers.createProvider({ provider }, options),
      );
      printWarnings(shell, answer);
    },
    update: async ({ id, etag, clientSecret, paths }, settings) => {
      const provider = profileMessage(settings);
      provider.id = id;
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`update the provider ${settings.name}`, (options) =>
        daemon.providers.updateProvider({ provider, updateMask: { paths: [...paths] }, etag }, options),
      );
      printWarnings(shell, answer);
    },
    delete: async (id, name) => {
      await call(`delete the provider ${name}`, (options) =>
        daemon.providers.deleteProvider({ id }, options),
      );
    },
  };
}
