import ipaddr from "ipaddr.js";
import { Secret } from "../runtime/secret.js";
import { addressKind, canonicalHost, isAddress, isInBlock } from "./address_judge.js";

/** A proxy of HTTP that stands between this machine and others, as companies have. It comes from the operator, so its address is not judged. */
export interface WebProxy {
  readonly host: string;
  readonly port: number;
  /** The connection to the proxy itself is TLS. */
  readonly isSecure: boolean;
  /** The value of `Proxy-Authorization` (RFC 7617). */
  readonly authorization: Secret | undefined;
}

/** Where a request goes. */
export interface Destination {
  /** Canonical: no brackets, no trailing dot. */
  readonly host: string;
  readonly port: number;
}

/** What `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say. */
export interface WebProxySettings {
  readonly https: WebProxy | undefined;
  readonly http: WebProxy | undefined;
  readonly exceptions: readonly Exception[];
}

/** An entry of `NO_PROXY`. */
export type Exception =
  | { readonly kind: "all" }
  | { readonly kind: "block"; readonly block: [ipaddr.IPv4 | ipaddr.IPv6, number] }
  /** The name and all below it. */
  | { readonly kind: "name"; readonly name: string; readonly port: number | undefined };

/** No proxy: every host is reached directly. */
export const noWebProxies: WebProxySettings = { https: undefined, http: undefined, exceptions: [] };

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/** @returns the proxy, or what is wrong with the text, which may hold a password and must not be printed */
export function readWebProxy(text: string): WebProxy | { readonly violation: string } {
  // As curl takes it.
  const whole = text.includes("://") ? text : `http://${text}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  const port = url && defaultPorts[url.protocol];
  const host = url && canonicalHost(url.hostname);
  if (!url || port === undefined || host === undefined || /[^/]/.test(url.pathname + url.search + url.hash))
    return { violation: "must be http://[user:password@]host:port, or https:// for a proxy with TLS" };
  const { username, password } = url;
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const basic = new Secret(`Basic ${Buffer.from(pair).toString("base64")}`);
    const authorization = username + password === "" ? undefined : basic;
    return { host, port: Number(url.port || port), isSecure: url.protocol === "https:", authorization };
  } catch {
    return { violation: "has a user or password that is not percent-encoded" };
  }
}

/**
 * Hosts without a proxy, separated by commas: `*` for all, names (with those below them), addresses and CIDR blocks, each but the block with an
 * optional port.
 */
export function readExceptions(text: string): readonly Exception[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== "");
  return entries.map((entry): Exception => {
    if (entry === "*") return { kind: "all" };
    if (ipaddr.isValidCIDR(entry)) return { kind: "block", block: ipaddr.parseCIDR(entry) };
    const [, bracketed, plain = "", port] = /^(?:\[(.*)\]|(.*?))(?::(\d{1,5}))?$/.exec(entry) ?? [];
    const host = isAddress(entry) ? entry : (bracketed ?? plain);
    const name = host.replace(/^\*?\./, "");
    return {
      kind: "name",
      name: canonicalHost(name) ?? name.toLowerCase(),
      port: port === undefined || isAddress(entry) ? undefined : Number(port),
    };
  });
}

/** @returns undefined where the destination is reached directly, as this machine always is */
export function webProxyFor(
  scheme: "https" | "http",
  { host, port }: Destination,
  settings: WebProxySettings,
): WebProxy | undefined {
  const isLoopback = /(^|\.)localhost$/.test(host) || addressKind(host) === "loopback";
  return isLoopback || settings.exceptions.some((one) => matches(one, host, port))
    ? undefined
    : settings[scheme];
}

function matches(exception: Exception, host: string, port: number): boolean {
  if (exception.kind === "all") return true;
  if (exception.kind === "block") return isAddress(host) && isInBlock(ipaddr.process(host), exception.block);
  const isPort = exception.port === undefined || exception.port === port;
  return isPort && (host === exception.name || host.endsWith(`.${exception.name}`));
}
