import { SystemClock } from "../../runtime/clock.js";
import { CheckedClock } from "./database/checked_clock.js";
import { maxClockOffsetMs } from "./database/verdict.js";

/** The machine's clock, corrected by those of the database and of other hubs; links to them go by the machine's. */
export function hubClocks(): { readonly clock: CheckedClock; readonly linkClock: SystemClock } {
  const linkClock = new SystemClock();
  return { clock: new CheckedClock(linkClock, maxClockOffsetMs), linkClock };
}
