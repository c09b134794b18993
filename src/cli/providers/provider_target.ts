import type { ProfileTarget } from "../../manifest/apply.js";
import type { CurrentProfile } from "../../manifest/plan.js";
import { profileMessage, profileSettings } from "../../model/providers/profile_fields.js";
import type { DaemonSession } from "../shell/daemon_command.js";
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

/** Carries a plan out over the API. */
export function targetOf({ daemon, call }: DaemonSession): ProfileTarget {
  return {
    create: async (settings, clientSecret) => {
      const provider = profileMessage(settings);
      provider.clientSecret = clientSecret?.reveal() ?? "";
      await call(`create the provider ${settings.name}`, (options) =>
        daemon.providers.createProvider({ provider }, options),
      );
    },
    update: async ({ id, etag, clientSecret, paths }, settings) => {
      const provider = profileMessage(settings);
      provider.id = id;
      provider.clientSecret = clientSecret?.reveal() ?? "";
      await call(`update the provider ${settings.name}`, (options) =>
        daemon.providers.updateProvider({ provider, updateMask: { paths: [...paths] }, etag }, options),
      );
    },
    delete: async (id, name) => {
      await call(`delete the provider ${name}`, (options) =>
        daemon.providers.deleteProvider({ id }, options),
      );
    },
  };
}
