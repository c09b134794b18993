import { type ProviderNetworks, publicNetworks } from "../../src/outbound/provider_networks.js";

/** The providers of the tests stand on this machine. */
export const loopbackNetworks: ProviderNetworks = { ...publicNetworks, allowLoopback: true };
