import { type SettingGroups, type SettingReader, text } from "../../config/config.js";

export const substrateGroups = {
  "agent-substrate": {
    NEXUS_SUBSTRATE_GATEWAY: {
      kind: text("principal", (value) =>
        /^cert:spiffe:\/\/[a-z0-9._-]+\/[^\s*]+$/.test(value)
          ? undefined
          : "must be a caller with a SPIFFE ID, such as cert:spiffe://cluster.local/ns/ate-system/sa/atenet-egress",
      ),
      meaning:
        "Egress gateway, as its client certificate names it. It may fetch credentials for any actor, which is then the caller. Needs NEXUS_TLS_CLIENT_CA_FILE.",
    },
    NEXUS_SUBSTRATE_TRUST_DOMAIN: {
      kind: text("domain", (value) =>
        /^[a-z0-9._-]{1,255}$/.test(value)
          ? undefined
          : "must be a trust domain, such as substrate-actor.local",
      ),
      default: "substrate-actor.local",
      meaning: "Trust domain of the actors.",
    },
  },
} as const satisfies SettingGroups;

export interface SubstrateSettings {
  /** The name of its principal. */
  readonly gateway: string;
  readonly trustDomain: string;
}

/** @returns undefined where the service is not served */
export function readSubstrate(reader: SettingReader): SubstrateSettings | undefined {
  const get = reader.of<typeof substrateGroups>();
  const gateway = get("NEXUS_SUBSTRATE_GATEWAY");
  const trustDomain = get("NEXUS_SUBSTRATE_TRUST_DOMAIN");
  if (gateway === undefined) return undefined;
  if (gateway.startsWith(`cert:spiffe://${trustDomain}/`))
    reader.refuse(
      "NEXUS_SUBSTRATE_TRUST_DOMAIN",
      "must be another one than that of the gateway",
      trustDomain,
    );
  if (!reader.isSet("NEXUS_TLS_CLIENT_CA_FILE"))
    reader.needs("NEXUS_TLS_CLIENT_CA_FILE", ["NEXUS_SUBSTRATE_GATEWAY"]);
  return Object.freeze({ gateway, trustDomain });
}
