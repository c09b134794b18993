import { type ProviderNetworks, readPrivateNetwork } from "../outbound/provider_networks.js";
import type { SettingReader } from "./setting_reader.js";

/** More entries than this are a mistake, and each is looked at for every address. */
const maxEntries = 256;

/** Where providers may stand. Errors are noted in `reader`. */
export function readProviderNetworks(reader: SettingReader): ProviderNetworks {
  const allowLoopback = readSwitch(reader, "NEXUS_ALLOW_LOOPBACK_PROVIDERS");
  const name = "NEXUS_ALLOWED_PRIVATE_NETWORKS";
  const text = reader.read(name) ?? "";
  const entries = text
    .split(",")
    .map((piece) => piece.trim())
    .filter((piece) => piece !== "");
  if (entries.length > maxEntries) reader.violation(name, text, `must be at most ${maxEntries} entries`);
  const cidrs = new Set<string>();
  const hosts = new Set<string>();
  for (const entry of entries.slice(0, maxEntries)) {
    const read = readPrivateNetwork(entry);
    if ("cidr" in read) cidrs.add(read.cidr);
    else if ("host" in read) hosts.add(read.host);
    else reader.violation(name, entry, read.violation);
  }
  return Object.freeze({
    allowLoopback,
    cidrs: Object.freeze([...cidrs]),
    hosts: Object.freeze([...hosts]),
  });
}

function readSwitch(reader: SettingReader, name: "NEXUS_ALLOW_LOOPBACK_PROVIDERS"): boolean {
  const text = reader.read(name)?.toLowerCase() ?? "false";
  if (text !== "true" && text !== "false") reader.violation(name, text, "must be true or false");
  return text === "true";
}
