import ipaddr from "ipaddr.js";

/** Which networks beyond the public internet a provider may stand in. */
export interface ProviderNetworks {
  /** For development: this machine, over plain http too, at any port or at these. */
  readonly allowLoopback: boolean | readonly number[];
  /** Private networks, as CIDR blocks that `readPrivateNetwork` has taken. */
  readonly cidrs: readonly string[];
  /** Lower-case host names, or `*.suffix`, whose addresses may be private. */
  readonly hosts: readonly string[];
}

/** The default: providers stand in the public internet. */
export const publicNetworks: ProviderNetworks = { allowLoopback: false, cidrs: [], hosts: [] };

/** What a setting can open; nothing opens link-local addresses, where clouds hand out credentials of the machine. */
export const openableBlocks = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "198.18.0.0/15",
  "fc00::/7",
] as const;

/** Whether a provider may stand at this port of this machine; an unknown port is one that only a word for all of them opens. */
export function permitsLoopback({ allowLoopback }: ProviderNetworks, port: number | undefined): boolean {
  if (typeof allowLoopback === "boolean") return allowLoopback;
  return port !== undefined && allowLoopback.includes(port);
}

/** The port of a URL, where it is that of its scheme, too. */
export function portOf({ port, protocol }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

/**
 * One entry of `NEXUS_ALLOWED_PRIVATE_NETWORKS`: a CIDR block or an address inside `openableBlocks`, a host name, or `*.` and a
 * suffix of host names.
 *
 * @returns the entry in the form of `ProviderNetworks`, or the limit that it breaks
 */
export function readPrivateNetwork(
  text: string,
): { readonly cidr: string } | { readonly host: string } | { readonly violation: string } {
  const [address = "", bits, ...rest] = text.split("/");
  if (bits !== undefined || ipaddr.isValid(address)) return readBlock(address, bits, rest.length > 0);
  const host = text.toLowerCase().replace(/\.$/, "");
  if (!hostPattern.test(host)) {
    return { violation: "must be a CIDR block, a host name, or *. and a suffix of host names" };
  }
  if (host === "localhost" || host.endsWith(".localhost")) {
    return { violation: "NEXUS_ALLOW_LOOPBACK_PROVIDERS is the setting for this machine" };
  }
  return { host };
}

const label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
const hostPattern = new RegExp(`^(?=.{1,253}$)(\\*\\.)?(${label}\\.)*(?=[a-z0-9-]*[a-z])${label}$`);

function readBlock(
  address: string,
  bits: string | undefined,
  isMalformed: boolean,
): { readonly cidr: string } | { readonly violation: string } {
  const isPlain = ipaddr.IPv4.isValidFourPartDecimal(address) || ipaddr.IPv6.isValid(address);
  const cidr = bits === undefined ? `${address}/${address.includes(":") ? 128 : 32}` : `${address}/${bits}`;
  if (isMalformed || !isPlain || !/^\d{1,3}$/.test(cidr.split("/")[1] ?? "") || !ipaddr.isValidCIDR(cidr)) {
    return { violation: "is not a CIDR block: write it as 10.0.0.0/8 or fd00::/8" };
  }
  if (openableBlocks.some((outer) => isInside(cidr, outer))) return { cidr };
  return { violation: `must lie inside ${openableBlocks.join(", ")}: nothing else can be opened` };
}

function isInside(inner: string, outer: string): boolean {
  const [address, bits] = ipaddr.parseCIDR(inner);
  const [block, blockBits] = ipaddr.parseCIDR(outer);
  return address.kind() === block.kind() && bits >= blockBits && matchesBlock(address, outer);
}

/** Whether an address lies in a CIDR block; one of the other family does not. */
export function matchesBlock(address: ipaddr.IPv4 | ipaddr.IPv6, cidr: string): boolean {
  return isInBlock(address, ipaddr.parseCIDR(cidr));
}

/** The same for a block that was parsed before. */
export function isInBlock(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  [block, bits]: [ipaddr.IPv4 | ipaddr.IPv6, number],
): boolean {
  if (address instanceof ipaddr.IPv4 && block instanceof ipaddr.IPv4) return address.match(block, bits);
  if (address instanceof ipaddr.IPv6 && block instanceof ipaddr.IPv6) return address.match(block, bits);
  return false;
}

/** Whether a canonical host name is one of `hosts`. A suffix does not match itself. */
export function matchesHost(host: string, hosts: readonly string[]): boolean {
  return hosts.some((entry) => (entry.startsWith("*.") ? host.endsWith(entry.slice(1)) : host === entry));
}
