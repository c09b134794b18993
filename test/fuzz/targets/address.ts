import { BlockList, isIPv4, isIPv6, SocketAddress } from "node:net";
import type { ProviderNetworks } from "../../../src/outbound/address_judge.js";
import {
  canonicalHost,
  judgeAddress,
  judgeHost,
  publicNetworks,
} from "../../../src/outbound/address_judge.js";
import { AddressRefused, OutboundTarget } from "../../../src/outbound/outbound_socket.js";
import { mutateText, type Random } from "../../suites/random.js";
import { count, demand, shorterTexts, type Target } from "../target.js";

interface Input {
  readonly text: string;
  readonly networks: ProviderNetworks;
  /** What the name resolves to, if the text is one. */
  readonly resolved: readonly string[];
}

/** Written down a second time, from the registries of IANA, and matched by Node's own BlockList. */
const forbidden4 =
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32 100.100.100.200/32".split(
    " ",
  );
const forbidden6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20".split(" ");
const blocked = new BlockList();
for (const cidr of forbidden4) addTo(blocked, cidr, "ipv4");
for (const cidr of forbidden6) addTo(blocked, cidr, "ipv6");

const development: ProviderNetworks = { allowLoopback: true, cidrs: [], hosts: [] };
const opened: ProviderNetworks = {
  allowLoopback: false,
  cidrs: ["10.1.0.0/16", "fd12:3456::/32"],
  hosts: ["sso.corp.example", "*.inside.example"],
};

const attacks = (
  "127.0.0.1 0 0.0.0.0 127.1 0177.0.0.1 0x7f.1 0x7f000001 2130706433 017700000001 127.0.1 0300.0250.1 3232235521 169.254.169.254 " +
  "0xa9fea9fe 2852039166 0251.0376.0251.0376 169.254.43518 169.0xfea9fe [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] " +
  "[64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::a00:1] [2002:7f00:1::] [2002:a9fe:a9fe::] [fe80::1] [fe80::1%25eth0] fe80::1%lo " +
  "[fd00:ec2::254] [ff02::1] [fec0::1] [::ffff:0:127.0.0.1] [0:0:0:0:0:ffff:a00:1] [2001:0:7f00:1::] [100::1] [5f00::1] localhost LOCALHOST. a.localhost localhost. " +
  "metadata.google.internal metadata. METADATA.google.internal. instance-data 127.0.0.1. 127.0.0.1.. ①②⑦.⓪.⓪.① １２７.0.0.1 127。0。0。1 " +
  "100.64.0.1 198.18.0.1 192.0.0.192 168.63.129.16 100.100.100.200 224.0.0.1 255.255.255.255 240.0.0.1 4294967295 4294967296 0x100000000 " +
  "00000000000000000000177.0.0.1 1.2.3.4.5 1.2.3.256 8.8.8.8 1.1.1.1 [2606:4700::1111] 0x8.8.8.8 %31%32%37.0.0.1 127.0.0.1%00 08.8.8.8 0x.0x.0x.0x"
).split(" ");

const publicText = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"];

/** What is let through must be an address of the public internet, or one that a setting opened, however it was written. */
export async function addressTarget(): Promise<Target<Input>> {
  const tally = new Map<string, number>();
  return {
    tally,
    corpus: attacks.flatMap((text) => [
      { text, networks: publicNetworks, resolved: [text] },
      { text: "name.example", networks: publicNetworks, resolved: ["8.8.8.8", text] },
    ]),
    draw,
    show: (input) => JSON.stringify(input),
    shrink: function* (input) {
      for (const text of shorterTexts(input.text)) yield { ...input, text };
    },
    judge: async (input) => {
      judgeText(input, tally);
      await judgeCall(input, tally);
    },
  };
}

/** The judges by themselves, on what a socket would make of the text. */
function judgeText({ text, networks, resolved }: Input, tally: Map<string, number>): void {
  for (const address of [text, ...resolved]) {
    const refused = judgeAddress(address, networks) !== undefined;
    const bytes = bytesOf(address);
    if (!refused)
      demand(bytes !== undefined && mayCall(bytes, networks), `the judge lets ${address} through`);
    if (refused && bytes !== undefined && !address.includes("%")) {
      demand(!mayCall(bytes, networks), `the judge refuses ${address}, which may be called`);
    }
    count(tally, refused ? "address refused" : "address let through");
  }
  const isHostRefused = judgeHost(text, networks) !== undefined;
  const bytes = bytesOf(text);
  if (!isHostRefused && bytes) demand(mayCall(bytes, networks), "the judge of hosts lets an address through");
  if (!isHostRefused && !networks.allowLoopback) {
    demand(!/^(.*\.)?localhost\.?$/i.test(text), "the judge of hosts lets this machine through");
  }
}

/** As a call goes: a URL, its host, all that it resolves to, and the socket in the end. */
async function judgeCall({ text, networks, resolved }: Input, tally: Map<string, number>): Promise<void> {
  if (!URL.canParse(`https://${text}/`)) return count(tally, "no URL");
  const url = new URL(`https://${text}/`);
  if (url.hostname === "") return;
  try {
    const target = new OutboundTarget(url, networks);
    const looked: string[] = [];
    const addresses = await target.resolve((host) => {
      looked.push(host);
      return Promise.resolve(resolved.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
    });
    const host = canonicalHost(url.hostname) ?? "";
    demand(
      looked.every((name) => name === host),
      "another name was looked up than the URL says",
    );
    const isHostOpened = host === "sso.corp.example" || host.endsWith(".inside.example");
    for (const { address } of addresses) {
      const bytes = bytesOf(address);
      demand(
        bytes !== undefined &&
          mayCall(bytes, networks, looked.length > 0 && isHostOpened && networks === opened),
        `a call goes to ${address}`,
      );
      target.judge(address);
    }
    count(tally, "called");
  } catch (error) {
    const isExpected =
      error instanceof AddressRefused || (error as NodeJS.ErrnoException).code === "ENOTFOUND";
    if (!isExpected) throw error;
    count(tally, "call refused");
  }
}

function mayCall(bytes: Buffer, networks: ProviderNetworks, isHostOpened = false): boolean {
  const four = embedded4(bytes);
  if (four) {
    if (!blocked.check(four)) return true;
    if (networks.allowLoopback && four.startsWith("127.") && !isNat64(bytes)) return true;
    if (isNat64(bytes)) return false;
    const isPrivate =
      /^(10|192\.168|172\.(1[6-9]|2\d|3[01])|198\.1[89]|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(four);
    if (isHostOpened && isPrivate && four !== "100.100.100.200") return true;
    return networks === opened && four.startsWith("10.1.");
  }
  if (networks.allowLoopback && bytes.equals(Buffer.from(`${"00".repeat(15)}01`, "hex"))) return true;
  const isLocal = (bytes[0] ?? 0) >> 1 === 0x7e; // fc00::/7
  const isMetadata =
    bytes.readUInt32BE(0) === 0xfd000ec2 || bytes.toString("hex") === "fd2000ce000000000000000000000254";
  if (isLocal && !isMetadata && networks === opened)
    return isHostOpened || bytes.readUInt32BE(0) === 0xfd123456;
  return (bytes[0] ?? 0) >> 5 === 1 && !blocked.check(textOf(bytes), "ipv6"); // 2000::/3
}

/** The address of IPv4 that is meant by 4 bytes, by an IPv4-mapped address, or by the well-known prefix of NAT64. */
function embedded4(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return [...bytes].join(".");
  const isMapped = bytes.subarray(0, 12).toString("hex") === `${"00".repeat(10)}ffff`;
  return isMapped || isNat64(bytes) ? [...bytes.subarray(12)].join(".") : undefined;
}

function isNat64(bytes: Buffer): boolean {
  return bytes.length === 16 && bytes.subarray(0, 12).toString("hex") === `0064ff9b${"00".repeat(8)}`;
}

/** As `inet_aton` and `inet_pton` read it; undefined for a name. */
function bytesOf(text: string): Buffer | undefined {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const [address = ""] = bare.split("%");
  if (isIPv6(address)) return bytes6(new SocketAddress({ address, family: "ipv6" }).address);
  return text === bare ? bytes4(bare) : undefined;
}

/** `inet_aton(3)`: up to four parts, each decimal, octal or hexadecimal; the last fills what is left. */
function bytes4(text: string): Buffer | undefined {
  if (isIPv4(text)) return Buffer.from(text.split(".").map(Number));
  const parts = text.split(".");
  if (parts.length > 4) return undefined;
  const numbers = parts.map((part) => {
    if (/^0x[0-9a-f]+$/i.test(part)) return Number.parseInt(part, 16);
    if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8);
    return /^[1-9][0-9]*$/.test(part) ? Number(part) : Number.NaN;
  });
  const last = numbers.pop() ?? Number.NaN;
  if (numbers.some((part) => !(part <= 255)) || !(last < 256 ** (4 - numbers.length))) return undefined;
  const value = numbers.reduce((sum, part, index) => sum + part * 256 ** (3 - index), 0) + last;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** @param canonical as the system writes it */
function bytes6(canonical: string): Buffer {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(canonical);
  const hex = (high = "0", low = "0"): string => (Number(high) * 256 + Number(low)).toString(16);
  const text = dotted ? `${dotted[1]}${hex(dotted[2], dotted[3])}:${hex(dotted[4], dotted[5])}` : canonical;
  const [head = "", tail] = text.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [front, back] = [groups(head), groups(tail ?? "")];
  const middle = tail === undefined ? [] : new Array<string>(8 - front.length - back.length).fill("0");
  return Buffer.from([...front, ...middle, ...back].map((group) => group.padStart(4, "0")).join(""), "hex");
}

function textOf(bytes: Buffer): string {
  return (bytes.toString("hex").match(/.{4}/g) ?? []).join(":");
}

function addTo(list: BlockList, cidr: string, family: "ipv4" | "ipv6"): void {
  const [address = "", bits = ""] = cidr.split("/");
  list.addSubnet(address, Number(bits), family);
}

function draw(random: Random): Input {
  const networks = random.pick([publicNetworks, publicNetworks, development, opened]);
  const base = random.pick([
    () => notation4(random, address4(random)),
    () => notation4(random, address4(random)),
    () => address6(random),
    () => `[${address6(random)}]`,
    () => random.pick(attacks),
    () =>
      random.pick([
        "sso.corp.example",
        "a.inside.example",
        "inside.example",
        "name.example",
        "xlocalhost",
        "a.localhost",
      ]),
  ])();
  const text = random.once(3) ? mutateText(random, base) : base;
  const resolved = random.list(0, 3, () =>
    random.pick([
      () => [...address4(random)].join("."),
      () => address6(random),
      () => random.pick(publicText),
    ])(),
  );
  return { text, networks, resolved };
}

/** Near the edges of the blocks, or anywhere. */
function address4(random: Random): Buffer {
  if (random.once(3)) return random.bytes(4);
  const [base = "", bits = ""] = random.pick(forbidden4).split("/");
  const first = Buffer.from(base.split(".").map(Number)).readUInt32BE();
  const size = 2 ** (32 - Number(bits));
  const value = first + random.pick([-1, 0, 1, size - 1, size, Math.floor(size / 2)]);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(((value % 2 ** 32) + 2 ** 32) % 2 ** 32);
  return bytes;
}

function notation4(random: Random, bytes: Buffer): string {
  const keep = random.below(4);
  const number = (value: number): string =>
    random.pick([
      () => `${value}`,
      () => `0${value.toString(8)}`,
      () => `0x${value.toString(16)}`,
      () => `0X${value.toString(16).toUpperCase()}`,
      () => `000${value.toString(8)}`,
    ])();
  const head = [...bytes.subarray(0, keep)].map(number);
  const rest = [...bytes.subarray(keep)].reduce((sum, byte) => sum * 256 + byte, 0);
  if (random.once(3)) return [...bytes].join(".");
  return [...head, number(rest)].join(".") + (random.once(8) ? "." : "");
}

function address6(random: Random): string {
  const four = address4(random).toString("hex");
  const tail = `${four.slice(0, 4)}:${four.slice(4)}`;
  const base = random.pick([
    () => random.pick(["::ffff:", "64:ff9b::", "::", "64:ff9b:1::", "::ffff:0:", "2002:", "2001:0:"]) + tail,
    () => `::ffff:${[...Buffer.from(four, "hex")].join(".")}`,
    () => `64:ff9b::${[...Buffer.from(four, "hex")].join(".")}`,
    () =>
      `${random.pick(["2000", "2001", "2002", "2606", "3fff", "4000", "fc00", "fd12:3456", "fd00:ec2", "fdff", "fe80", "fec0", "ff02", "1fff", "3ffe", "2001:200", "2001:1ff", "2001:db8"])}::${random.below(65536).toString(16)}`,
    () => textOf(random.bytes(16)),
  ])();
  return random.once(4) ? base.toUpperCase() : base;
}
