import { allProviders } from "../../../cli/providers/provider_key.js";
import { printWarnings } from "../../../cli/providers/provider_words.js";
import type { DaemonSession } from "../../../cli/shell/daemon_command.js";
import { profileMessage, profileSettings } from "../../../model/providers/profile_fields.js";
import type { ProfileTarget } from "../apply.js";
import type { CurrentProfile } from "../plan.js";

/** The profiles of the daemon, for a plan. */
export async function readProfiles(session: DaemonSession): Promise<CurrentProfile[]> {
  return (await allProviders(session)).map((provider) => ({
    id: provider.id,
    etag: provider.etag,
    settings: profileSettings(provider),
    clientSecretSet: provider.clientSecretSet,
  }));
}

/** Carries a plan out over the API. */
export function targetOf({ shell, daemon, call }: DaemonSession): ProfileTarget {
  return {
    create: async (settings, clientSecret) => {
      const provider = profileMessage(settings);
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`create the provider ${settings.name}`, daemon.providers.createProvider, {
        provider,
      });
      printWarnings(shell, answer);
    },
    update: async ({ id, etag, clientSecret, paths }, settings) => {
      const provider = profileMessage(settings);
      provider.id = id;
      provider.clientSecret = clientSecret?.reveal() ?? "";
      const answer = await call(`update the provider ${settings.name}`, daemon.providers.updateProvider, {
        provider,
        updateMask: { paths: [...paths] },
        etag,
      });
      printWarnings(shell, answer);
    },
    delete: async (id, name) => {
      await call(`delete the provider ${name}`, daemon.providers.deleteProvider, { id });
    },
  };
}
