import type { Core } from "../../core/core.js";
import type { Extension, Registry } from "../../core/registry.js";
import { driverSettings } from "./driver_settings.js";
import type { MetadataSettings } from "./metadata_settings.js";
import type { SubstrateSettings } from "./substrate_settings.js";

/**
 * Credentials for those that can ask in one way alone: SDKs of AWS (as in a container) and of Google (as on a virtual machine), and the
 * egress gateway of agent-substrate.
 */
export const drivers: Extension = {
  name: "drivers",
  settings: driverSettings,
  open: async (core, registry) => {
    const { metadata, substrate } = driverSettings.of(core.config);
    if (metadata.listen.length > 0) await openMetadata(core, registry, metadata);
    if (substrate) await openSubstrate(core, registry, substrate);
  },
};

async function openMetadata(
  { clock }: Core,
  registry: Registry,
  { listen: addresses, google }: MetadataSettings,
) {
  const { MetadataListener } = await import("./metadata_listener.js");
  registry.listener(({ servicesAt }) => ({
    name: "metadata",
    make: (place) => {
      const shared = { ...place, google, clock, services: servicesAt("metadata") };
      return addresses.map((listen) => new MetadataListener({ ...shared, listen }));
    },
  }));
}

/** Not a service of the contract: its callers act for others, and are not judged by what they may do themselves. */
async function openSubstrate({ access, clock }: Core, registry: Registry, settings: SubstrateSettings) {
  const { credentialProvider } = await import("./credential_provider.js");
  registry.openService((services) => credentialProvider({ ...settings, access, clock, services }));
}
