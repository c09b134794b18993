import type { Clock } from "../../runtime/clock.js";
import { type DatabaseAddress, parseDatabaseUrl } from "./database_url.js";
import { FleetRefused, FleetUnreachable } from "./fleet_error.js";
import { type Probe, probe } from "./probe.js";
import { Session } from "./session.js";

/** Opens sessions with the primary, whichever of the hosts that is. */
export class Connector {
  readonly #address: DatabaseAddress;

  /** @throws FleetRefused when the URL cannot be used */
  constructor(
    url: string,
    readonly clock: Clock,
  ) {
    this.#address = parseDatabaseUrl(url);
  }

  /**
   * Tries each host once.
   *
   * @param purpose for whoever looks at the connections of the server
   * @throws FleetRefused what a host refused, when none took it; FleetUnreachable when none answered
   */
  async open(purpose: string): Promise<{ readonly session: Session; readonly probe: Probe }> {
    let refusal: FleetRefused | undefined;
    let unreachable: unknown;
    for (const host of this.#address.hosts) {
      let session: Session | undefined;
      try {
        session = await Session.open(this.#address, host, this.clock, purpose);
        return { session, probe: await probe(session, this.clock) };
      } catch (error) {
        session?.close();
        if (error instanceof FleetRefused) refusal ??= error;
        else unreachable ??= error;
      }
    }
    if (refusal) throw refusal;
    if (unreachable instanceof FleetUnreachable) throw unreachable;
    throw new FleetUnreachable("the database cannot be asked", { cause: unreachable });
  }
}
