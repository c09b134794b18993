import { beforeEach, inject } from "vitest";
import { Connector } from "../../../../src/ext/fleet/database/connection/connector.js";
import { FleetDatabase } from "../../../../src/ext/fleet/database/fleet_database.js";
import { initialise } from "../../../../src/ext/fleet/database/initialise.js";
import type { Member } from "../../../../src/ext/fleet/database/members.js";
import { migrate } from "../../../../src/ext/fleet/database/migrations.js";
import type { RawWrite, ReplicaPosition } from "../../../../src/ext/fleet/replication/log.js";
import type { Clock } from "../../../../src/runtime/clock.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { DatabaseServer } from "../../../fakes/database_server.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perSuite, perTest } from "../../../lifetimes.js";
import { has, needs } from "../../../needs.js";
import { silentLog } from "../../../silent_log.js";
import { aMember, databaseId, firstEpoch } from "./samples.js";

/** PostgreSQL with the tables of a fleet, and a store in them. */
export class FleetBed<Server extends DatabaseServer = DatabaseServer> {
  readonly #opened: FleetDatabase[] = [];

  private constructor(
    readonly postgres: Server,
    readonly begin: ReplicaPosition,
  ) {}

  static async on<Server extends DatabaseServer>(postgres: Server): Promise<FleetBed<Server>> {
    return new FleetBed(postgres, await prepare(postgres, [[]]));
  }

  /** Empties the fleet: as `nexusd fleet init` left it. */
  async reset(entries: Iterable<readonly RawWrite[]> = [[]]): Promise<void> {
    for (const database of this.#opened.splice(0)) await database.close();
    await this.postgres.query("DROP SCHEMA IF EXISTS nexus CASCADE");
    Object.assign(this, { begin: await prepare(this.postgres, entries) });
  }

  /** A hub's view; closed with the bed. */
  async connect(
    options: {
      readonly url?: string;
      readonly clock?: Clock;
      readonly member?: Member;
      readonly position?: ReplicaPosition;
    } = {},
  ): Promise<FleetDatabase> {
    const member = options.member ?? aMember();
    const database = await FleetDatabase.connect(
      {
        url: options.url ?? this.postgres.url(),
        member: () => member,
        clock: options.clock ?? new SystemClock(),
        log: silentLog,
      },
      options.position,
    );
    this.#opened.push(database);
    return database;
  }

  async close(): Promise<void> {
    for (const database of this.#opened) await database.close();
    await this.postgres.close();
  }
}

declare module "vitest" {
  interface ProvidedContext {
    /** The folders of servers, one for each worker. */
    databaseServers: readonly string[];
  }
}

/** That of the run which no other file uses meanwhile, with nothing of the file before. */
export async function serverOfRun(): Promise<DatabaseServer> {
  const server = new DatabaseServer(
    inject("databaseServers")[Number(process.env["VITEST_POOL_ID"]) - 1] ?? "",
  );
  const statements = ["DROP DATABASE IF EXISTS nexus WITH (FORCE)", "CREATE DATABASE nexus OWNER nexus"];
  for (const each of [...statements, "ALTER ROLE nexus RESET ALL"]) await server.query(each, "postgres");
  return server;
}

/** An empty fleet for each test, on the server of the run; they are skipped without PostgreSQL. */
export function aFleetBed(): FleetBed {
  return aFleetBedOn(serverOfRun);
}

/** What stands between a hub and the server, for each test. */
export const aProxyTo = (bed: FleetBed) =>
  perTest(async () =>
    has("postgresql")
      ? await TcpProxy.postgres(bed.postgres.socketPath)
      : ({} as TcpProxy & { folder: string }),
  );

/** On a server for all tests of the file. */
export function aFleetBedOn<Server extends DatabaseServer>(start: () => Promise<Server>): FleetBed<Server> {
  const bed = perSuite(async () =>
    has("postgresql") ? await FleetBed.on(await start()) : ({} as FleetBed<Server>),
  );
  beforeEach(async (context) => {
    needs(context, "postgresql");
    await bed.reset();
  });
  return bed;
}

async function prepare(
  postgres: DatabaseServer,
  entries: Iterable<readonly RawWrite[]>,
): Promise<ReplicaPosition> {
  const connector = new Connector(postgres.url(), new SystemClock());
  await migrate(connector);
  return await initialise(connector, { databaseId, epoch: firstEpoch, entries });
}
