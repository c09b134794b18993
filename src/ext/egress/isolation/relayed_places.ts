import type { Origin } from "../proxy/dial.js";

/** An API as an isolated program reaches it: by its name, which `/etc/hosts` has at this address. */
export interface RelayedPlace extends Origin {
  /** In 127.1.0.0/16, one for each name: it tells the relay which host is meant. */
  readonly address: string;
}

/** In the folder of the session. */
export const placesFile = "places.json";
/** Addresses of two bytes. */
const maxHosts = 65_000;

/** @param direct names and ports; addresses of IP have no name to be found by */
export function relayedPlaces(direct: readonly Origin[]): RelayedPlace[] {
  const hosts = [...new Set(direct.map(({ host }) => host))].filter((host) =>
    /^[a-z0-9.-]*[a-z-][a-z0-9-]*$/.test(host),
  );
  const addresses = new Map(
    hosts.slice(0, maxHosts).map((host, index) => [host, `127.1.${(index + 1) >> 8}.${(index + 1) & 255}`]),
  );
  const places = direct.flatMap(({ host, port }) => {
    const address = addresses.get(host);
    return address === undefined ? [] : [{ host, port, address }];
  });
  return [...new Map(places.map((place) => [`${place.address}:${place.port}`, place])).values()];
}
