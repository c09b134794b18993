import { existsSync } from "node:fs";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { Postgres } from "../../../fakes/postgres.js";
import { postgresPrograms } from "../../../needs.js";

/** Where the disk is not what is tested. */
const memory = "/dev/shm";

/** One server for the run; each daemon has a database of its own, made after that of the role, which has the tables and no store. */
export async function setup(): Promise<() => Promise<void>> {
  if (postgresPrograms() === undefined)
    throw new Error("the follower's suite needs PostgreSQL (apt-get install postgresql)");
  const postgres = await Postgres.start({
    settings: ["max_connections = 300"],
    ...(existsSync(memory) && { parent: memory }),
  });
  try {
    await migrate(new Connector(postgres.url(), new SystemClock()));
  } catch (error) {
    await postgres.close();
    throw error;
  }
  process.env["NEXUS_TEST_FOLLOWER"] = postgres.folder;
  return () => postgres.close();
}
