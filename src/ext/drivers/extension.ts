import type { Extension } from "../../core/registry.js";
import { metadataSettings } from "./metadata_settings.js";

/** Credentials for programs that can ask in one way alone: the container credentials of AWS SDKs, and the metadata server of Google's. */
export const drivers: Extension = {
  name: "drivers",
  settings: metadataSettings,
  open: async ({ config, clock }, registry) => {
    const { listen: addresses, google } = metadataSettings.of(config);
    if (addresses.length === 0) return;
    const { MetadataListener } = await import("./metadata_listener.js");
    registry.listener(({ servicesAt }) => ({
      name: "metadata",
      make: (place) => {
        const shared = { ...place, google, clock, services: servicesAt("metadata") };
        return addresses.map((listen) => new MetadataListener({ ...shared, listen }));
      },
    }));
  },
};
