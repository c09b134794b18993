import type { Connector } from "./connection/connector.js";
import { FleetRefused } from "./connection/fleet_error.js";
import { standbyWait } from "./connection/probe.js";
import type { DatabaseSession } from "./connection/session.js";

export function standbyWaitSentence(waitMs: number): string {
  const seconds = Math.round(waitMs / 1_000);
  return `commits have waited for a synchronous standby for ${seconds} s, and nothing is written meanwhile: bring one of synchronous_standby_names back, or take it out of that setting`;
}

/** @throws FleetRefused where commits wait */
export async function refuseWithoutStandby(session: DatabaseSession): Promise<void> {
  const [row] = await session.query<{ ms: number }>(`SELECT ${standbyWait} AS ms`);
  if (row && row.ms > 0) throw new FleetRefused("no_standby", standbyWaitSentence(row.ms));
}

/** Runs what commits. @throws FleetRefused instead of its error, where that came of commits that wait */
export async function orWithoutStandby<T>(connector: Connector, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { session } = await connector.open("look").catch(() => {
      throw error;
    });
    try {
      await refuseWithoutStandby(session);
    } finally {
      session.close();
    }
    throw error;
  }
}
