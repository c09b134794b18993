import type { Clock } from "../../../../runtime/clock.js";
import { type DatabaseAddress, parseDatabaseUrl } from "./database_url.js";
import { FleetRefused, FleetUnreachable } from "./fleet_error.js";
import { refuseTransactionPooling } from "./pooling.js";
import { type Probe, probe } from "./probe.js";
import { placeOf, Session } from "./session.js";

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
   * Tries each host once. A standby beside other hosts is passed over: one of them becomes the primary.
   *
   * @param purpose for whoever looks at the connections of the server
   * @throws FleetRefused what a host refused, when none took it; FleetUnreachable when none answered as a primary
   */
  async open(purpose: string): Promise<{ readonly session: Session; readonly probe: Probe }> {
    const { hosts } = this.#address;
    let refusal: FleetRefused | undefined;
    const failures: Error[] = [];
    for (const host of hosts) {
      let session: Session | undefined;
      try {
        const open = () => Session.open(this.#address, host, this.clock, purpose);
        session = await open();
        const probed = await probe(session, this.clock);
        if (probed.pid !== session.pid) await refuseTransactionPooling(session, open);
        return { session, probe: probed };
      } catch (error) {
        session?.close();
        if (!(error instanceof FleetRefused)) failures.push(error as Error);
        else if (error.reason === "standby" && hosts.length > 1)
          failures.push(new Error(`the database at ${placeOf(host)} is a standby`));
        else refusal ??= error;
      }
    }
    if (refusal) throw refusal;
    const [cause] = failures;
    throw new FleetUnreachable(failures.map(({ message }) => message).join("; "), { cause });
  }
}
