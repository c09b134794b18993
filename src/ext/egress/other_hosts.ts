import type { EgressSession } from "./proxy/session.js";

/** More names are not told. */
const maxTold = 20;

/**
 * Tells the user once about a host that the program reaches and no provider has: where it is refused, or where it is of the vendor of a
 * provider, whose placeholder is sent there as it is.
 */
export class OtherHosts {
  readonly #told = new Set<string>();

  constructor(private readonly tell: (text: string) => void) {}

  seen(session: EgressSession, host: string): void {
    if (this.#told.has(host) || this.#told.size >= maxTold) return;
    const text = textOf(session, host);
    if (text === undefined) return;
    this.#told.add(host);
    this.tell(text);
  }
}

function textOf(session: EgressSession, host: string): string | undefined {
  if (!session.reaches(host)) return `${host} is refused: no provider has it. --network ${host} allows it`;
  const vendor = session.deps.routes.all.find(({ places }) =>
    places.some((place) => domainOf(place.host) === domainOf(host)),
  );
  if (!vendor) return undefined;
  return `${host} is no host of the API of ${vendor.providerName} (api_hosts of the provider): what is sent there gets no credential, and a placeholder is sent as it is`;
}

/** Its last two labels, which most vendors register; for others it is only not told. An address is all of itself. */
function domainOf(host: string): string {
  return /^[\d.]+$|^\[/.test(host) ? host : host.split(".").slice(-2).join(".");
}
