import { describe, expect, test } from "vitest";
import {
  type AddressKind,
  addressKind,
  canonicalHost,
  isAddress,
  judgeAddress,
  judgeHost,
  judgeUrl,
  type ProviderNetworks,
  publicNetworks,
  readPrivateNetwork,
} from "../../src/outbound/address_judge.js";
import fc from "../property.js";

const loopback: ProviderNetworks = { ...publicNetworks, allowLoopback: true };
const all: ProviderNetworks = {
  allowLoopback: true,
  cidrs: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"],
  hosts: ["keycloak", "*.corp.example", "metadata.google.internal", "169.254.169.254"],
};

/** Hosts as they stand in a URL, in every notation that some resolver or socket takes. */
const hosts: readonly (readonly [string, AddressKind])[] = [
  ["8.8.8.8", "public"],
  ["93.184.216.34", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.0", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.0", "public"],
  ["223.255.255.255", "public"],
  ["[2606:4700::6810:85e5]", "public"],
  ["[2a00:1450:4001:82a::200e]", "public"],
  ["[::ffff:8.8.8.8]", "public"],
  ["[64:ff9b::808:808]", "public"],
  ["[64:ff9b::8.8.8.8]", "public"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["127.1", "loopback"],
  ["127.0.1", "loopback"],
  ["2130706433", "loopback"],
  ["0x7f000001", "loopback"],
  ["0x7f.1", "loopback"],
  ["0X7F.0x0.0x0.0x1", "loopback"],
  ["017700000001", "loopback"],
  ["0177.0.0.1", "loopback"],
  ["0177.0.0.01", "loopback"],
  ["00000177.1", "loopback"],
  ["127.0.0.1.", "loopback"],
  ["１２７.０.０.１", "loopback"],
  ["127。0。0。1", "loopback"],
  ["①②⑦.0.0.1", "loopback"],
  ["%31%32%37.0.0.1", "loopback"],
  ["[::1]", "loopback"],
  ["[0:0:0:0:0:0:0:1]", "loopback"],
  ["[0000::0001]", "loopback"],
  ["[::0.0.0.1]", "loopback"],
  ["[::ffff:127.0.0.1]", "loopback"],
  ["[::ffff:7f00:1]", "loopback"],
  ["[0:0:0:0:0:FFFF:7F00:0001]", "loopback"],
  ["localhost", "loopback"],
  ["localhost.", "loopback"],
  ["LOCALHOST", "loopback"],
  ["ＬＯＣＡＬＨＯＳＴ", "loopback"],
  ["a.localhost", "loopback"],
  ["a.b.localhost.", "loopback"],
  ["0.0.0.0", "unspecified"],
  ["0", "unspecified"],
  ["0x0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["[::]", "unspecified"],
  ["[::ffff:0.0.0.0]", "unspecified"],
  ["10.0.0.1", "private"],
  ["10.1", "private"],
  ["012.0.0.1", "private"],
  ["0xa000001", "private"],
  ["167772161", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["192.168.257", "private"],
  ["3232235777", "private"],
  ["[::ffff:10.0.0.1]", "private"],
  ["[::ffff:c0a8:101]", "private"],
  ["[fc00::1]", "unique_local"],
  ["[FD12:3456::1]", "unique_local"],
  ["100.64.0.1", "shared"],
  ["100.127.255.255", "shared"],
  ["198.18.0.1", "benchmarking"],
  ["169.254.169.254", "metadata"],
  ["2852039166", "metadata"],
  ["0xa9fea9fe", "metadata"],
  ["0251.0376.0251.0376", "metadata"],
  ["169.254.43518", "metadata"],
  ["[::ffff:169.254.169.254]", "metadata"],
  ["[::ffff:a9fe:a9fe]", "metadata"],
  ["169.254.170.2", "metadata"],
  ["100.100.100.200", "metadata"],
  ["192.0.0.192", "metadata"],
  ["168.63.129.16", "metadata"],
  ["[fd00:ec2::254]", "metadata"],
  ["[fd20:ce::254]", "metadata"],
  ["metadata.google.internal", "metadata"],
  ["METADATA.google.internal.", "metadata"],
  ["metadata", "metadata"],
  ["instance-data.ec2.internal", "metadata"],
  ["169.254.0.1", "link_local"],
  ["[fe80::1]", "link_local"],
  ["[febf::1]", "link_local"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.250", "multicast"],
  ["[ff02::1]", "multicast"],
  ["255.255.255.255", "broadcast"],
  ["4294967295", "broadcast"],
  ["240.0.0.1", "reserved"],
  ["192.0.0.1", "reserved"],
  ["192.88.99.1", "reserved"],
  ["192.0.2.1", "documentation"],
  ["198.51.100.1", "documentation"],
  ["203.0.113.1", "documentation"],
  ["[2001:db8::1]", "documentation"],
  ["[3fff::1]", "documentation"],
  ["[::7f00:1]", "embedded"],
  ["[::8.8.8.8]", "embedded"],
  ["[::ffff:0:7f00:1]", "embedded"],
  ["[64:ff9b::7f00:1]", "embedded"],
  ["[64:ff9b::10.0.0.1]", "embedded"],
  ["[64:ff9b::a9fe:a9fe]", "embedded"],
  ["[64:ff9b:1::808:808]", "embedded"],
  ["[64:ff9b:1:fffe::1]", "embedded"],
  ["[2002:7f00:1::]", "embedded"],
  ["[2002:808:808::1]", "embedded"],
  ["[2001::1]", "embedded"],
  ["[2001:0:7f00:1::]", "embedded"],
  ["[2001:10::1]", "reserved"],
  ["[2001:2::1]", "reserved"],
  ["[fec0::1]", "reserved"],
  ["[4000::1]", "reserved"],
  ["[100::1]", "reserved"],
  ["[5f00::1]", "reserved"],
  ["[20029519]", "unreadable"],
  ["[8.8.8.8]", "unreadable"],
  ["[fe80::1%eth0]", "unreadable"],
  ["[fe80::1%25eth0]", "unreadable"],
  ["127.0.0.1:80", "unreadable"],
  ["256.256.256.256", "unreadable"],
  ["1.2.3.4.5", "unreadable"],
  ["0x", "unspecified"],
  ["127.0.0.1/", "unreadable"],
  ["127.0.0.1#", "unreadable"],
  ["a@127.0.0.1", "unreadable"],
  ["127.0.0.1\\@example.com", "unreadable"],
  ["127.0.0.1\t", "unreadable"],
  ["localhost..", "unreadable"],
  ["", "unreadable"],
  [".", "unreadable"],
];

describe("a host of a URL", () => {
  test.each(hosts)("%s is %s", (host, kind) => {
    expect(judgeHost(host, publicNetworks)?.kind ?? "public").toBe(kind);
  });

  test.each(hosts)("%s stands where it may when every setting is open", (host, kind) => {
    const opened = ["public", "loopback", "private", "unique_local", "shared", "benchmarking"].includes(kind);
    expect(judgeHost(host, all) === undefined).toBe(opened);
  });

  test.each([
    "example.com",
    "keycloak",
    "xn--bcher-kva.example",
    "127.0.0.1.nip.io",
    "localhost.example.com",
  ])("%s is judged by what it resolves to", (host) => {
    expect(judgeHost(host, publicNetworks)).toBeUndefined();
  });
});

describe("whatever the notation", () => {
  const octet = fc.nat(255);
  const number = fc.tuple(octet, octet, octet, octet);
  const radix = fc.constantFrom(
    (value: number) => String(value),
    (value: number) => `0x${value.toString(16)}`,
    (value: number) => `0X${value.toString(16).toUpperCase()}`,
    (value: number) => `0${value.toString(8)}`,
    (value: number) => `000${value.toString(8)}`,
  );

  test("an IPv4 address is of one kind", () => {
    fc.assert(
      fc.property(
        number,
        fc.array(radix, { minLength: 4, maxLength: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (octets, radices, parts) => {
          const kind = judgeHost(octets.join("."), publicNetworks)?.kind;
          const [a, b, c, d] = octets;
          const tail =
            [((a * 256 + b) * 256 + c) * 256 + d, (b * 256 + c) * 256 + d, c * 256 + d, d][parts - 1] ?? 0;
          const numbers = [...octets.slice(0, parts - 1), tail];
          const short = numbers.map((value, i) => radices[i]?.(value)).join(".");
          expect(judgeHost(short, publicNetworks)?.kind, short).toBe(kind);
          const mapped = `::ffff:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
          expect(judgeHost(`[${mapped}]`, publicNetworks)?.kind).toBe(kind);
          expect(judgeAddress(mapped, publicNetworks, "a.example")?.kind).toBe(kind);
          const nat64 = judgeHost(`[64:ff9b::${octets.join(".")}]`, publicNetworks)?.kind;
          expect(nat64).toBe(kind === undefined ? undefined : "embedded");
        },
      ),
      { numRuns: 400 },
    );
  });

  test("no text makes the judge throw, and none that is not public passes as an address", () => {
    const text = fc.oneof(
      fc.string(),
      fc.ipV4Extended(),
      fc.ipV6(),
      fc.domain(),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(text, (host) => {
        const refusal = judgeHost(host, publicNetworks);
        const isPublic = addressKind(canonicalHost(host) ?? "") === "public";
        if (refusal === undefined && isAddress(canonicalHost(host) ?? "")) expect(isPublic).toBe(true);
        judgeAddress(host, all, host);
        readPrivateNetwork(host);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("an address of a name or of a socket", () => {
  test("is read as a socket reads it, where libraries disagree", () => {
    expect(addressKind("::8.8.8.8")).toBe("embedded");
    expect(addressKind("::ffff:010.0.0.1")).toBe("unreadable");
    expect(addressKind("64:ff9b::8.08.8.8")).toBe("unreadable");
  });

  test.each([
    ["10.0.0.1", "keycloak", true],
    ["10.0.0.1", "iam.corp.example", true],
    ["::ffff:10.0.0.1", "iam.corp.example", true],
    ["fd00::1", "a.b.corp.example", true],
    ["10.0.0.1", "corp.example", false],
    ["10.0.0.1", "evilcorp.example", false],
    ["10.0.0.1", "example.com", false],
    ["127.0.0.1", "iam.corp.example", false],
    ["169.254.169.254", "iam.corp.example", false],
    ["fe80::1%eth0", "iam.corp.example", false],
    ["::ffff:169.254.169.254", "iam.corp.example", false],
    ["224.0.0.1", "iam.corp.example", false],
    ["8.8.8.8", "example.com", true],
    ["nonsense", "iam.corp.example", false],
  ])("%s of %s: %s", (address, host, isAllowed) => {
    const networks = { ...publicNetworks, hosts: ["keycloak", "*.corp.example"] };
    expect(judgeAddress(address, networks, host) === undefined).toBe(isAllowed);
  });

  test("a block opens what lies in it, mapped too, and nothing beside", () => {
    const networks = { ...publicNetworks, cidrs: ["10.1.0.0/16"] };
    expect(judgeAddress("10.1.2.3", networks)).toBeUndefined();
    expect(judgeAddress("::ffff:10.1.2.3", networks, "any.example")).toBeUndefined();
    expect(judgeAddress("10.2.0.1", networks)?.kind).toBe("private");
    expect(judgeAddress("64:ff9b::10.1.2.3", networks)?.kind).toBe("embedded");
  });

  test("one port of this machine may be open, and the others not", () => {
    const networks = { ...publicNetworks, allowLoopback: [9099] };
    expect(judgeUrl(new URL("http://127.0.0.1:9099/token"), networks)).toBeUndefined();
    expect(judgeUrl(new URL("http://localhost:9099/token"), networks)).toBeUndefined();
    expect(judgeAddress("::1", networks, "localhost", 9099)).toBeUndefined();
    for (const url of ["http://127.0.0.1:9098", "http://localhost", "https://[::1]", "https://op.localhost"])
      expect(judgeUrl(new URL(url), networks)?.kind).toBe("loopback");
    expect(judgeAddress("127.0.0.1", networks, "a.example")?.kind).toBe("loopback");
    expect(judgeUrl(new URL("https://10.0.0.1:9099"), networks)?.kind).toBe("private");
  });

  test("the refusal names the setting that opens it, and no address", () => {
    expect(judgeAddress("127.0.0.1", publicNetworks, "a.example")?.why).toBe(
      "resolves to this machine: NEXUS_ALLOW_LOOPBACK_PROVIDERS=true allows it, for development",
    );
    expect(judgeAddress("10.0.0.1", publicNetworks)?.why).toBe(
      "is a private network: NEXUS_ALLOWED_PRIVATE_NETWORKS can allow it",
    );
    expect(judgeAddress("169.254.169.254", loopback)?.why).toBe(
      "is the metadata service of a cloud: no setting allows it",
    );
  });

  test("a zone id makes it link-local", () => {
    expect(addressKind("::1%lo")).toBe("link_local");
    expect(addressKind("2606:4700::1%eth0")).toBe("link_local");
  });
});

describe("an entry of NEXUS_ALLOWED_PRIVATE_NETWORKS", () => {
  test.each([
    ["10.0.0.0/8", { cidr: "10.0.0.0/8" }],
    ["10.4.0.0/16", { cidr: "10.4.0.0/16" }],
    ["192.168.7.7", { cidr: "192.168.7.7/32" }],
    ["100.64.0.0/10", { cidr: "100.64.0.0/10" }],
    ["fd00::/8", { cidr: "fd00::/8" }],
    ["fd00::7", { cidr: "fd00::7/128" }],
    ["Keycloak.Auth.svc.cluster.local.", { host: "keycloak.auth.svc.cluster.local" }],
    ["*.corp.example", { host: "*.corp.example" }],
    ["keycloak", { host: "keycloak" }],
  ])("%s is taken", (text, expected) => {
    expect(readPrivateNetwork(text)).toEqual(expected);
  });

  test.each([
    "0.0.0.0/0",
    "::/0",
    "10.0.0.0/7",
    "127.0.0.0/8",
    "127.0.0.1",
    "::1",
    "169.254.0.0/16",
    "169.254.169.254",
    "8.8.8.8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/8/8",
    "10.1/16",
    "0x0a000000/8",
    "::ffff:10.0.0.0/104",
    "fe80::/10",
    "localhost",
    "a.localhost",
    "*",
    "*.",
    "a.*.example",
    "https://a.example",
    "a.example:443",
    "a b",
    "1.2.3",
    "-a.example",
  ])("%s is refused", (text) => {
    expect(readPrivateNetwork(text)).toHaveProperty("violation");
  });
});
