import { AlreadyExists, InvalidArgument } from "../../model/errors.js";
import { networkFaults } from "../../outbound/network_faults.js";
import type { ProviderNetworks } from "../../outbound/provider_networks.js";
import { type ProviderProfile, type ProviderSettings, providerFaults } from "../../model/providers/provider_profile.js";
import type { Transaction } from "../../store/transaction.js";
import { credentialSchemaFaults } from "../static_credentials/credential_schema.js";
import { trialFaults } from "../static_credentials/credential_probe.js";

/** @throws InvalidArgument with every fault of the profile named */
export function refuseFaults(
  settings: ProviderSettings,
  hasSecret: boolean,
  networks: ProviderNetworks,
): void {
  const form = [
    ...providerFaults(settings, hasSecret),
    ...credentialSchemaFaults(settings),
    ...trialFaults(settings),
  ];
  const named = new Set(form.map(({ field }) => field));
  const faults = [...form, ...networkFaults(settings, networks).filter(({ field }) => !named.has(field))];
  if (faults.length > 0) throw new InvalidArgument(faults);
}

/** @throws AlreadyExists */
export function refuseTakenName(tx: Pick<Transaction, "findProviderByName">, profile: ProviderProfile): void {
  const holder = tx.findProviderByName(profile.name);
  if (holder && holder.id !== profile.id) {
    throw new AlreadyExists(`a provider named "${profile.name}" exists already`);
  }
}
