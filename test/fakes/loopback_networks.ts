import { type ProviderNetworks, publicNetworks } from "../../src/outbound/address_judge.js";

/** The providers of the tests stand on this machine. */
export const loopbackNetworks: ProviderNetworks = { ...publicNetworks, allowLoopback: true };
