import {
  allProviders,
  type DaemonFlags,
  type DaemonSession,
  parseCredentialName,
  printable,
  providerOf,
  usageFailure,
} from "../../cli/kit.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { isLoopbackHost } from "../../model/providers/providers.js";

/** The flags of a credential helper. */
export interface HelperFlags extends DaemonFlags {
  readonly host?: readonly string[];
  readonly username?: string;
}

/** A server for which a credential helper is asked. */
export interface Site {
  /** Without a port. */
  readonly hostname: string;
  /** With the port, where it is not that of the scheme. */
  readonly host: string;
  /** `https://host`, and `http://host` on this machine; both where the asker does not say. */
  readonly origins: readonly string[];
}

/** What a helper knows of its servers. */
export interface SiteRule {
  /** The credential; undefined for that of the provider whose own URLs lead to the server. */
  readonly name: string | undefined;
  /** The servers that may have it instead of those of the provider's URLs, each with its port; none for those. */
  readonly hosts: readonly string[];
}

/**
 * @param protocol `https` or `http`; undefined where the asker does not say
 * @param host with a port, if it has one
 * @returns undefined for what must not be sent a credential: plain text over a network, or no host
 */
export function siteOf(protocol: string | undefined, host: string): Site | undefined {
  // A parser of URLs would drop or decode these, and the client that connects to the host may not.
  if (/[\p{C}\s\\/%]/u.test(host)) return undefined;
  const schemes = protocol === undefined ? ["https", "http"] : [protocol];
  const urls = schemes.flatMap((scheme) => {
    const text = `${scheme}://${host}`;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
    return url !== undefined && isSafe && url.href === `${url.origin}/` ? [url] : [];
  });
  const [first] = urls;
  return first && { hostname: first.hostname, host: first.host, origins: urls.map(({ origin }) => origin) };
}

/** One more `--host`. */
export function collectHost(text: string, before: readonly string[] = []): string[] {
  if (siteOf(undefined, text) !== undefined) return [...before, text];
  throw usageFailure(`--host ${printable(text)} must be a host alone, such as github.com or localhost:5000`);
}

/**
 * The name of the credential that the site may have; undefined when it may have none.
 *
 * @throws CommandFailure when the provider that was named does not exist, or two may be meant
 */
export async function credentialNameFor(
  session: DaemonSession,
  site: Site,
  { name, hosts }: SiteRule,
): Promise<string | undefined> {
  if (name !== undefined && hosts.length > 0)
    return hosts.some((host) => isHost(site, host)) ? name : undefined;
  if (name !== undefined) {
    const provider = await providerOf(session, parseCredentialName(name).connection);
    return leadsTo(provider, site) ? name : undefined;
  }
  const [first, ...others] = (await allProviders(session)).filter((provider) => leadsTo(provider, site));
  if (others.length === 0) return first?.name;
  const names = [first, ...others].map((provider) => provider?.name ?? "");
  throw usageFailure(
    `${printable(site.host)} is of the providers ${names.join(", ")}: name one in the configuration`,
  );
}

/** The hosts to which the URLs of a profile lead, each with its port. */
export function hostsOf(provider: Provider): string[] {
  return [...new Set(urlsOf(provider).map(({ host }) => host))];
}

/** The provider itself named these, so that its credential is known there. */
function urlsOf({ apiBaseUrl, issuer, authUrl, tokenUrl }: Provider): URL[] {
  return [apiBaseUrl, issuer, authUrl, tokenUrl].flatMap((text) =>
    URL.canParse(text) ? [new URL(text)] : [],
  );
}

function leadsTo(provider: Provider, { origins }: Site): boolean {
  return urlsOf(provider).some(({ origin }) => origins.includes(origin));
}

function isHost({ origins }: Site, host: string): boolean {
  return (siteOf(undefined, host)?.origins ?? []).some((origin) => origins.includes(origin));
}
