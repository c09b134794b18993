import { type ListenAddress, ListenAddressError, parseListenAddress } from "../../model/listen_address.js";
import { isLoopbackHost } from "../../model/providers/provider_profile.js";
import { readPrivateNetwork } from "../../outbound/address_judge.js";
import { type Exception, readExceptions, readWebProxy, type WebProxy } from "../../outbound/web_proxy.js";
import { platform } from "../../runtime/platform/platform.js";
import { itemsOf, type Note, type SettingKind } from "./setting_kinds.js";

/** Some of the listeners, in any case. */
export function listeners(names: readonly string[]): SettingKind<readonly string[]> {
  return {
    argument: "listeners",
    parse: (value, note) => readListeners(value, names, note, ""),
  };
}

/** As `listeners`, or `true` for all and `false` for none. */
export function listenersOrToggle(names: readonly string[]): SettingKind<readonly string[]> {
  return {
    argument: "[listeners]",
    parse: (value, note) => {
      const lower = value.toLowerCase();
      if (lower === "true") return names;
      return lower === "false" ? [] : readListeners(value, names, note, "true, false or ");
    },
  };
}

function readListeners(
  value: string,
  names: readonly string[],
  note: Note,
  others: string,
): readonly string[] {
  const words = value
    .toLowerCase()
    .split(",")
    .map((word) => word.trim());
  if (words.some((word) => !names.includes(word))) {
    note(`must be ${others}a comma list of ${names.join(", ")}`);
  }
  return Object.freeze(names.filter((listener) => words.includes(listener)));
}

export function socketPathViolation(socketPath: string): string | undefined {
  const { maxSocketPathBytes } = platform;
  const bytes = Buffer.byteLength(socketPath);
  if (bytes <= maxSocketPathBytes) return undefined;
  return `the path of a Unix socket has at most ${maxSocketPathBytes} bytes, this one has ${bytes}; choose a shorter one`;
}

/** The addresses of a listener; none when it is closed by `off` or an empty text. */
export function addresses({
  canClose,
}: {
  readonly canClose: boolean;
}): SettingKind<readonly ListenAddress[]> {
  return {
    argument: "addresses",
    acceptsEmpty: true,
    parse: (value, note) => {
      if (value === "" || value.toLowerCase() === "off") {
        if (!canClose) note("this listener cannot be closed");
        return [];
      }
      const items = value.split(",").map((item) => item.trim());
      return Object.freeze(items.flatMap((item) => readAddress(item, note) ?? []));
    },
  };
}

function readAddress(item: string, note: Note): ListenAddress | undefined {
  try {
    const address = parseListenAddress(item);
    const violation = address.kind === "unix" ? socketPathViolation(address.path) : undefined;
    if (violation === undefined) return address;
    note(violation, item);
  } catch (error) {
    if (!(error instanceof ListenAddressError)) throw error;
    note("must be host:port (port 0 to 65535), [IPv6]:port or unix:path", item);
  }
  return undefined;
}

/** A client must be able to write to a socket to connect to it, and the other bits of a mode mean nothing there. */
const socketModes: Readonly<Record<string, number>> = { "0600": 0o600, "0660": 0o660, "0666": 0o666 };

export const socketMode: SettingKind<number> = {
  argument: "mode",
  range: Object.keys(socketModes).join(", "),
  parse: (value, note) => {
    const mode = socketModes[value.padStart(4, "0")];
    if (mode === undefined) note(`must be one of ${Object.keys(socketModes).join(", ")}`);
    return mode;
  },
};

/** An origin and, if need be, a path prefix; without a slash at the end. */
export const publicUrl: SettingKind<string> = {
  argument: "url",
  parse: (value, note) => {
    const violation = publicUrlViolation(value);
    if (violation !== undefined) {
      note(violation);
      return undefined;
    }
    const url = new URL(value);
    return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
  },
};

/** One origin, as `URL.origin` writes it. */
export const origin: SettingKind<string> = {
  argument: "url",
  parse: (value, note) => {
    const violation = originViolation(value);
    if (violation === undefined) return new URL(value).origin;
    note(violation);
    return undefined;
  },
};

/** Origins, each once, as `URL.origin` writes them; the first label of the host may be a wildcard. */
export const origins: SettingKind<readonly string[]> = {
  argument: "origins",
  parse: (value, note) => {
    const found = new Set<string>();
    for (const item of itemsOf(value)) {
      const violation = originViolation(item) ?? wildcardViolation(new URL(item));
      if (violation === undefined) found.add(new URL(item).origin);
      else note(violation, item);
    }
    return Object.freeze([...found]);
  },
};

function publicUrlViolation(value: string): string | undefined {
  const violation = webUrlViolation(value);
  if (violation !== undefined) return violation;
  if (value.includes("?")) return "must not have a query";
  if (value.includes("#")) return "must not have a fragment";
  if (/\/\//.test(new URL(value).pathname.replace(/\/+$/, ""))) return "must not have an empty path segment";
  return undefined;
}

function originViolation(value: string): string | undefined {
  const violation = webUrlViolation(value);
  if (violation !== undefined) return violation;
  const url = new URL(value);
  if (url.pathname === "/" && !/[?#]/.test(value)) return undefined;
  return `must be an origin without path, query, and fragment, such as ${url.origin}`;
}

/** Below one label, as `*.com`, everybody has a name. */
function wildcardViolation({ protocol, hostname }: URL): string | undefined {
  if (!hostname.includes("*")) return undefined;
  if (protocol === "https:" && /^\*\.[^.*]+(\.[^.*]+)+$/.test(hostname)) return undefined;
  return "may have a wildcard as its whole first label alone, above two labels or more, such as https://*.example.com";
}

export function webUrlViolation(value: string): string | undefined {
  if (/[\s\\]/.test(value) || !URL.canParse(value))
    return "must be an absolute URL, such as https://agent.example";
  const url = new URL(value);
  if (url.username !== "" || url.password !== "") return "must not hold a user name or password";
  const isLoopback = url.protocol === "http:" && isLoopbackHost(url.hostname);
  if (url.protocol !== "https:" && !isLoopback) return "must be an https URL (http only on loopback)";
  return undefined;
}

/** More entries than this are a mistake, and each is looked at for every address. */
const maxNetworks = 256;

/** CIDR blocks and host names, each once. */
/** May hold a password. */
export const webProxy: SettingKind<WebProxy> = {
  argument: "url",
  isHidden: true,
  parse: (value, note) => {
    const read = readWebProxy(value);
    if (!("violation" in read)) return read;
    note(read.violation);
    return undefined;
  },
};

export const withoutProxy: SettingKind<readonly Exception[]> = { argument: "hosts", parse: readExceptions };

/** Whether providers may stand on this machine: at every port, at none, or at those that are listed. */
export const loopback: SettingKind<boolean | readonly number[]> = {
  argument: "true|false|ports",
  parse: (value, note) => {
    const lower = value.toLowerCase();
    if (lower === "true" || lower === "false") return lower === "true";
    const items = itemsOf(value);
    // Not the 1 by which others write true.
    const isPort = (item: string) => /^\d{4,5}$/.test(item) && Number(item) >= 1024 && Number(item) <= 65_535;
    if (items.length === 0 || !items.every(isPort))
      note("must be true, false, or ports from 1024 to 65535, separated by commas");
    return Object.freeze(items.filter(isPort).map(Number));
  },
};

export const networks: SettingKind<{ readonly cidrs: readonly string[]; readonly hosts: readonly string[] }> =
  {
    argument: "networks",
    parse: (value, note) => {
      const items = itemsOf(value);
      if (items.length > maxNetworks) note(`must be at most ${maxNetworks} entries`);
      const cidrs = new Set<string>();
      const hosts = new Set<string>();
      for (const item of items.slice(0, maxNetworks)) {
        const read = readPrivateNetwork(item);
        if ("cidr" in read) cidrs.add(read.cidr);
        else if ("host" in read) hosts.add(read.host);
        else note(read.violation, item);
      }
      return { cidrs: Object.freeze([...cidrs]), hosts: Object.freeze([...hosts]) };
    },
  };
