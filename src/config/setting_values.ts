import { type ListenAddress, ListenAddressError, parseListenAddress } from "../model/listen_address.js";
import { isLoopbackHost } from "../model/providers/provider_profile.js";

/** What a socket address of the system holds, without its final NUL: 108 bytes on Linux, 104 elsewhere. */
const maxSocketPathBytes = process.platform === "linux" ? 107 : 103;

/** The address, or what is wrong with it. */
export function readAddress(text: string): ListenAddress | string {
  try {
    const address = parseListenAddress(text);
    const violation = address.kind === "unix" ? socketPathViolation(address.path) : undefined;
    return violation ?? address;
  } catch (error) {
    if (!(error instanceof ListenAddressError)) throw error;
    return "must be host:port (port 0 to 65535), [IPv6]:port or unix:path";
  }
}

export function socketPathViolation(path: string): string | undefined {
  const bytes = Buffer.byteLength(path);
  if (bytes <= maxSocketPathBytes) return undefined;
  return `the path of a Unix socket has at most ${maxSocketPathBytes} bytes, this one has ${bytes}; choose a shorter one`;
}

/** What is wrong with a public URL: an origin and, if need be, a path prefix. */
export function publicUrlViolation(text: string): string | undefined {
  const violation = webUrlViolation(text);
  if (violation !== undefined) return violation;
  if (text.includes("?")) return "must not have a query";
  if (text.includes("#")) return "must not have a fragment";
  if (/\/\//.test(new URL(text).pathname.replace(/\/+$/, ""))) return "must not have an empty path segment";
  return undefined;
}

/** What is wrong with an origin that may be returned to. */
export function originViolation(text: string): string | undefined {
  const violation = webUrlViolation(text);
  if (violation !== undefined) return violation;
  const url = new URL(text);
  if (url.pathname !== "/" || text.includes("?") || text.includes("#")) {
    return `must be an origin without path, query and fragment, as ${url.origin}`;
  }
  return undefined;
}

function webUrlViolation(text: string): string | undefined {
  if (/[\s\\]/.test(text) || !URL.canParse(text)) return "must be an absolute URL, as https://agent.example";
  const url = new URL(text);
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  const isLoopback = url.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !isLoopback) return "must be an https URL (http only on loopback)";
  return undefined;
}
