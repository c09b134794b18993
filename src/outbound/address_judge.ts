import ipaddr from "ipaddr.js";
import { isLoopbackHost } from "../model/providers/provider_profile.js";

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

/** What an address is for, as the registries of IANA (RFC 6890, RFC 8190) say. */
export type AddressKind =
  | "public"
  | "loopback"
  | "private"
  | "shared"
  | "benchmarking"
  | "unique_local"
  | "link_local"
  | "metadata"
  | "multicast"
  | "unspecified"
  | "broadcast"
  | "documentation"
  | "embedded"
  | "reserved"
  | "unreadable";

/** Why a host must not be called. Names neither an address that a name led to nor a port, so that its reader learns no network. */
export interface AddressRefusal {
  readonly kind: Exclude<AddressKind, "public">;
  /** The rest of a sentence that begins with the host. */
  readonly why: string;
}

/** First match wins. What is not listed is public in IPv4; in IPv6 only 2000::/3 is (RFC 4291 section 2.4). */
const ipv4Rows = [
  ["0.0.0.0/8", "unspecified"], // RFC 1122: "this network"; Linux connects 0.0.0.0 to itself
  ["127.0.0.0/8", "loopback"], // RFC 1122
  ["169.254.169.254/32", "metadata"], // AWS, Google, Azure, and most others
  ["169.254.170.0/24", "metadata"], // credentials of containers at AWS
  ["169.254.0.0/16", "link_local"], // RFC 3927
  ["100.100.100.200/32", "metadata"], // Alibaba
  ["192.0.0.192/32", "metadata"], // Oracle
  ["168.63.129.16/32", "metadata"], // Azure's wire server
  ["10.0.0.0/8", "private"], // RFC 1918
  ["172.16.0.0/12", "private"],
  ["192.168.0.0/16", "private"],
  ["100.64.0.0/10", "shared"], // RFC 6598: carrier-grade NAT
  ["198.18.0.0/15", "benchmarking"], // RFC 2544
  ["192.0.0.0/24", "reserved"], // RFC 6890
  ["192.88.99.0/24", "reserved"], // RFC 7526: relays of 6to4
  ["192.0.2.0/24", "documentation"], // RFC 5737
  ["198.51.100.0/24", "documentation"],
  ["203.0.113.0/24", "documentation"],
  ["224.0.0.0/4", "multicast"], // RFC 5771
  ["255.255.255.255/32", "broadcast"], // RFC 919
  ["240.0.0.0/4", "reserved"], // RFC 1112
] as const;

const ipv6Rows = [
  ["::/128", "unspecified"], // RFC 4291
  ["::1/128", "loopback"],
  ["fd00:ec2::/32", "metadata"], // AWS
  ["fd20:ce::254/128", "metadata"], // Google
  ["fc00::/7", "unique_local"], // RFC 4193
  ["fe80::/10", "link_local"], // RFC 4291
  ["fec0::/10", "reserved"], // RFC 3879: site-local
  ["ff00::/8", "multicast"],
  ["::/96", "embedded"], // RFC 4291: IPv4-compatible
  ["::ffff:0:0:0/96", "embedded"], // RFC 2765: IPv4-translated
  ["64:ff9b:1::/48", "embedded"], // RFC 8215: NAT64 of a network of one's own
  ["2001::/32", "embedded"], // RFC 4380: Teredo
  ["2002::/16", "embedded"], // RFC 3056: 6to4
  ["2001:db8::/32", "documentation"], // RFC 3849
  ["3fff::/20", "documentation"], // RFC 9637
  ["2001::/23", "reserved"], // RFC 2928: protocol assignments, ORCHID, benchmarking
  ["2000::/3", "public"],
  ["::/0", "reserved"],
] as const;

const ipv4Table = tableOf(ipv4Rows);
const ipv6Table = tableOf(ipv6Rows);

const nat64 = ipaddr.parseCIDR("64:ff9b::/96"); // RFC 6052: the well-known prefix

const words: Readonly<Record<Exclude<AddressKind, "public">, string>> = {
  loopback: "this machine",
  private: "a private network",
  shared: "a carrier's private network (100.64.0.0/10)",
  benchmarking: "a test network (198.18.0.0/15)",
  unique_local: "a private network (fc00::/7)",
  link_local: "link-local",
  metadata: "the metadata service of a cloud",
  multicast: "multicast",
  unspecified: "unspecified",
  broadcast: "broadcast",
  documentation: "reserved for documentation",
  embedded: "an IPv4 address inside an IPv6 address",
  reserved: "reserved",
  unreadable: "not an address",
};

/**
 * Whether `NEXUS_ALLOWED_PRIVATE_NETWORKS` can open addresses of this kind; nothing opens link-local addresses, where clouds hand out credentials
 * of the machine.
 */
export function isOpenable(kind: AddressKind): boolean {
  return kind === "private" || kind === "shared" || kind === "benchmarking" || kind === "unique_local";
}

/** The blocks of these kinds. */
export const openableBlocks: readonly string[] = [...ipv4Rows, ...ipv6Rows].flatMap(([cidr, kind]) =>
  isOpenable(kind) ? [cidr] : [],
);

/** Names by which clouds reach their metadata services. */
const metadataNames: readonly string[] = [
  "metadata",
  "metadata.google.internal",
  "*.metadata.google.internal",
  "metadata.goog",
  "*.metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
  "metadata.azure.internal",
  "metadata.packet.net",
];

/**
 * What an address is. Reads every notation that some resolver or socket takes: decimal, octal, hexadecimal and short IPv4, IPv6 in
 * brackets. A zone id makes it link-local.
 */
export function addressKind(text: string): AddressKind {
  if (text.includes("%")) return "link_local";
  const address = parseAddress(text);
  return address === undefined ? "unreadable" : kindOf(address);
}

/**
 * The URL parser reads IPv6 first, because it agrees with `inet_pton`. The library takes `::7.0.0.1` for `::ffff:7.0.0.1`, and the 010 of
 * `::ffff:010.0.0.1` for 8, although a socket takes that for a name.
 */
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = text.replace(/^\[(.*)\]$/s, "$1");
  if (!bare.includes(":")) return bare === text && ipaddr.isValid(bare) ? ipaddr.parse(bare) : undefined;
  const url = `https://[${bare}]/`;
  if (!ipaddr.isValid(bare) || !URL.canParse(url)) return undefined;
  return ipaddr.parse(new URL(url).hostname.slice(1, -1));
}

function kindOf(address: ipaddr.IPv4 | ipaddr.IPv6): AddressKind {
  if (address instanceof ipaddr.IPv4) return lookUp(address, ipv4Table) ?? "public";
  if (address.isIPv4MappedAddress()) return kindOf(address.toIPv4Address());
  if (isInBlock(address, nat64)) {
    // RFC 6052 section 3.1: only public addresses may be written with it.
    const inner = ipaddr.fromByteArray(address.toByteArray().slice(12));
    return kindOf(inner) === "public" ? "public" : "embedded";
  }
  return lookUp(address, ipv6Table) ?? "reserved";
}

function tableOf(rows: readonly (readonly [cidr: string, kind: AddressKind])[]) {
  return rows.map(([cidr, kind]) => ({ block: ipaddr.parseCIDR(cidr), kind }));
}

function lookUp(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  table: ReturnType<typeof tableOf>,
): AddressKind | undefined {
  return table.find(({ block }) => isInBlock(address, block))?.kind;
}

/**
 * Judges an address: a literal, one that a name resolved to, or that of a connected socket.
 *
 * @param host the canonical name that led to it; undefined for a literal
 * @param port of the request, where it is known: one of this machine may be open, and the others not
 * @returns why it must not be called; undefined when it may
 */
export function judgeAddress(
  text: string,
  networks: ProviderNetworks,
  host?: string,
  port?: number,
): AddressRefusal | undefined {
  const kind = addressKind(text);
  if (kind === "public") return undefined;
  if (kind === "loopback" && permitsLoopback(networks, port)) return undefined;
  if (isOpenable(kind)) {
    if (host !== undefined && matchesHost(host, networks.hosts)) return undefined;
    const address = parseAddress(text);
    const plain = address && ipaddr.process(address.toString());
    if (plain && networks.cidrs.some((cidr) => matchesBlock(plain, cidr))) return undefined;
  }
  return refusal(kind, host === undefined ? "is" : "resolves to");
}

/**
 * Judges the host of a URL before anything is resolved. A name that is not special is judged by what it resolves to.
 *
 * @param hostname as `URL.hostname` writes it, or any other text: then it is read as a URL's host first
 */
export function judgeHost(
  hostname: string,
  networks: ProviderNetworks,
  port?: number,
): AddressRefusal | undefined {
  const host = canonicalHost(hostname);
  if (host === undefined) return refusal("unreadable", "is");
  if (isAddress(host)) return judgeAddress(host, networks, undefined, port);
  if (host === "localhost" || host.endsWith(".localhost")) {
    return permitsLoopback(networks, port) ? undefined : refusal("loopback", "is");
  }
  return matchesHost(host, metadataNames) ? refusal("metadata", "is") : undefined;
}

/** Judges the host of a URL, and the port where that is one of this machine. */
export function judgeUrl(url: URL, networks: ProviderNetworks): AddressRefusal | undefined {
  return judgeHost(url.hostname, networks, portOf(url));
}

/** Whether a scheme fits the host: https, or http to a host that can only be this machine. */
export function isPermittedScheme(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
}

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

/** The host without brackets and trailing dot, lower-case and in ASCII; undefined when it is none. */
export function canonicalHost(hostname: string): string | undefined {
  if (hostname === "" || /[/?#@\\\s]/.test(hostname)) return undefined;
  const wrapped = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  const text = `https://${wrapped}/`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.port !== "") return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  return host === "" || host.endsWith(".") ? undefined : host;
}

/** Whether a canonical host is an address and not a name. */
export function isAddress(host: string): boolean {
  return ipaddr.isValid(host);
}

function refusal(kind: AddressRefusal["kind"], verb: string): AddressRefusal {
  return { kind, why: `${verb} ${words[kind]}: ${remedy(kind)}` };
}

function remedy(kind: AddressKind): string {
  if (kind === "loopback") return "NEXUS_ALLOW_LOOPBACK_PROVIDERS=true allows it, for development";
  return isOpenable(kind) ? "NEXUS_ALLOWED_PRIVATE_NETWORKS can allow it" : "no setting allows it";
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
