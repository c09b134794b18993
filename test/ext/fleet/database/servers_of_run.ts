import type { TestProject } from "vitest/node";
import { Postgres } from "../../../fakes/postgres.js";
import { postgresPrograms } from "../../../needs.js";

/** For tests that need nothing but a fleet's tables: one server for each worker, since its settings are for all who use it. */
export async function setup({ provide, vitest }: TestProject): Promise<() => Promise<unknown>> {
  const length = postgresPrograms() === undefined ? 0 : vitest.config.maxWorkers;
  const servers = await Promise.all(Array.from({ length }, () => Postgres.start()));
  provide(
    "databaseServers",
    servers.map(({ folder }) => folder),
  );
  return () => Promise.all(servers.map((server) => server.close()));
}
