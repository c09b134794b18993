import { lookup as systemLookup } from "node:dns/promises";
import { isLoopbackHost } from "../model/providers/provider_profile.js";
import {
  type AddressRefusal,
  addressKind,
  canonicalHost,
  isAddress,
  judgeAddress,
  judgeUrl,
} from "./address_judge.js";
import { type ProviderNetworks, portOf } from "./provider_networks.js";
import { TlsSession } from "./tls_sessions.js";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name; the system's resolver by default. */
export type Lookup = (host: string) => Promise<readonly ResolvedAddress[]>;

export const lookupAll: Lookup = (host) => systemLookup(host, { all: true });

/** The request must not be made to this address. Carries no address. */
export class AddressRefused extends Error {
  constructor(readonly refusal: AddressRefusal) {
    super(refusal.why);
    this.name = "AddressRefused";
  }
}

/** Where a request goes: the host as written, and the judge of each address that stands for it. */
export class OutboundTarget {
  /** Canonical: no brackets, no trailing dot. */
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  readonly isLiteral: boolean;
  /** Of connections that present no certificate: a session stands for the client, too. */
  readonly tlsSession = new TlsSession();
  readonly #networks: ProviderNetworks;
  /** Judged last, and found good: the networks stay as they are. */
  #good: string | undefined;

  /**
   * Judges what the URL itself says.
   *
   * @param url of scheme https or http
   * @throws AddressRefused
   */
  constructor(url: URL, networks: ProviderNetworks) {
    const refusal = judgeUrl(url, networks);
    if (refusal) throw new AddressRefused(refusal);
    this.host = canonicalHost(url.hostname) ?? url.hostname;
    this.isLiteral = isAddress(this.host);
    this.isSecure = url.protocol === "https:";
    this.port = portOf(url);
    this.#networks = networks;
  }

  /**
   * The addresses to connect to: all that the name has, or none. A name that leads to a forbidden address besides a public one is a
   * trap or a mistake, and either way not a provider.
   *
   * @throws AddressRefused, or the error of the lookup
   */
  async resolve(lookup: Lookup): Promise<readonly ResolvedAddress[]> {
    const family = this.host.includes(":") ? 6 : 4;
    if (this.isLiteral) return [{ address: this.host, family }];
    const addresses = await lookup(this.host);
    if (addresses.length === 0) throw Object.assign(new Error("no address"), { code: "ENOTFOUND" });
    for (const { address } of addresses) this.judge(address);
    return addresses;
  }

  /** Judges an address that the name led to, or that a socket is connected to. @throws AddressRefused */
  judge(address: string | undefined): void {
    if (address === undefined) throw Object.assign(new Error("not connected"), { code: "ENOTCONN" });
    if (address === this.#good) return;
    const refusal = judgeAddress(address, this.#networks, this.isLiteral ? undefined : this.host, this.port);
    if (refusal) throw new AddressRefused(refusal);
    if (!this.isSecure && addressKind(address) !== "loopback") {
      throw new AddressRefused({
        kind: "reserved",
        why: "resolves to another machine: http is for this one",
      });
    }
    this.#good = address;
  }
}

/** Whether a scheme fits the host: https, or http to a host that can only be this machine. */
export function isPermittedScheme(url: URL): boolean {
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopbackHost(url.hostname));
}
