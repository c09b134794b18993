/** Where a listener listens: a TCP port of one host, or a Unix socket. */
export type ListenAddress =
  | {
      readonly kind: "tcp";
      /** A host name or an IP address; IPv6 without brackets. */
      readonly host: string;
      /** 0 to 65535; 0 lets the system choose. */
      readonly port: number;
    }
  | { readonly kind: "unix"; readonly path: string };

/** The text is no listen address. */
export class ListenAddressError extends Error {
  constructor(text: string, violation: string) {
    super(`${JSON.stringify(text)} is not an address to listen on: ${violation}`);
    this.name = "ListenAddressError";
  }
}

const maxPort = 65_535;

/**
 * Reads `host:port`, `[v6]:port` or `unix:path`.
 *
 * @throws ListenAddressError
 */
export function parseListenAddress(text: string): ListenAddress {
  const refuse = (violation: string): never => {
    throw new ListenAddressError(text, violation);
  };
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "") return refuse("the path is empty");
    // A leading NUL would name an abstract socket of Linux, which has no owner and no mode.
    if (path.includes("\0")) return refuse("the path holds a NUL character");
    return { kind: "unix", path };
  }
  const parts = /^(?:\[(?<v6>[0-9a-fA-F:.]+(?:%[^\]\s]+)?)\]|(?<name>[^:[\]/\s]+)):(?<port>\d+)$/.exec(text);
  if (!parts?.groups) return refuse("it must read host:port, [IPv6]:port or unix:path");
  const { v6, name, port: digits } = parts.groups;
  const port = Number(digits);
  if (port > maxPort) return refuse(`the port is above ${maxPort}`);
  return { kind: "tcp", host: v6 ?? name ?? "", port };
}

/** The inverse of `parseListenAddress`. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/**
 * Whether only this machine reaches the address: a Unix socket, 127.0.0.0/8, ::1 (also IPv4-mapped, in every notation) or
 * `localhost`, which RFC 6761, section 6.3, keeps for loopback. What another name resolves to is not known before, nor for ever.
 */
export function isLocalAddress(address: ListenAddress): boolean {
  if (address.kind === "unix") return true;
  const text = address.host.includes(":") ? `http://[${address.host}]/` : `http://${address.host}/`;
  if (!URL.canParse(text)) return false;
  const { hostname } = new URL(text);
  return (
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127(\.\d{1,3}){3}$/.test(hostname) ||
    /^\[::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}\]$/.test(hostname)
  );
}
