import { isIP } from "node:net";

/**
 * What counts as one address: an IPv4 address, also where IPv6 maps it, or the first 64 bits of an IPv6 address, which is what one
 * customer gets. A port is dropped. Undefined for what is no address, as with a Unix socket.
 */
export function addressKey(origin: string | undefined): string | undefined {
  if (origin === undefined || isIP(origin) === 4) return origin;
  const host = /^\[(.*)\]:\d+$/.exec(origin)?.[1] ?? /^([\d.]+):\d+$/.exec(origin)?.[1] ?? origin;
  // The port of an IPv6 peer stands without brackets; no address has nine groups.
  const bare = isIP(host) === 0 ? host.replace(/:\d+$/, "") : host;
  const address = bare.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.)/i, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return address === "::1" ? address : firstGroups(address);
    default:
      return undefined;
  }
}

function firstGroups(address: string): string {
  const [left = "", right] = address.split("::");
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const zeros = right === undefined ? 0 : Math.max(0, 8 - head.length - tail.length);
  const groups = [...head, ...Array<string>(zeros).fill("0"), ...tail];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
