import {
  type DaemonOptions,
  exitCodes,
  type Joined,
  type Opening,
  StartRefused,
} from "../../core/registry.js";
import { SystemClock } from "../../runtime/runtime.js";
import { refuseCopies } from "../../store/store.js";
import { CheckedClock } from "./database/checked_clock.js";
import { FleetRefused, FleetUnreachable } from "./database/connection/fleet_error.js";
import { maxClockOffsetMs } from "./database/verdict.js";
import { Fleet } from "./hub/fleet.js";
import type { FleetConfig } from "./hub/fleet_settings.js";
import { openFleet } from "./hub/open_fleet.js";

/** The machine's clock, corrected by those of the database and of other hubs; links to them go by the machine's. */
export function hubClocks(): { readonly clock: CheckedClock; readonly linkClock: SystemClock } {
  const linkClock = new SystemClock();
  return { clock: new CheckedClock(linkClock, maxClockOffsetMs), linkClock };
}

/** Makes a daemon a hub. @throws StartRefused; DataFolderUnusable, StoreDamaged */
export async function joinFleet(
  config: FleetConfig,
  options: DaemonOptions,
  { vault, store }: Opening,
): Promise<Joined> {
  const { log, linkClock: clock = options.clock } = options;
  refuseCopies(store.folder);
  const fleet = await openFleet({ config, vault, clock, log, store }).catch((error: unknown) => {
    if (error instanceof FleetRefused || error instanceof FleetUnreachable)
      throw new StartRefused(error.message, exitCodes.sharedStoreNotUsable, { cause: error });
    throw error;
  });
  const checkedClock = options.clock instanceof CheckedClock ? options.clock : undefined;
  return {
    store: fleet.store,
    giveUp: async () => fleet.database?.close(),
    member: (opened) =>
      new Fleet({ ...options, settings: config, clock, checkedClock }, { ...opened, fleet }),
  };
}
