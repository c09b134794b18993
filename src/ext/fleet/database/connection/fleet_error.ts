/** Why the database behind the address may not be used. */
export type RefusalReason =
  /** The URL cannot be read, or asks for less than verified TLS beyond a Unix socket. */
  | "url"
  /** Name, password or certificate were refused, or the database does not exist. */
  | "login"
  /** The role may not make or use the schema or what is in it. */
  | "privileges"
  | "old_server"
  | "pooled"
  | "standby"
  | "read_only"
  /** There are no tables, or `nexusd fleet migrate` was run by an older version. */
  | "old_layout"
  /** This version is older than the tables. */
  | "new_layout"
  /** Hubs of an older version are there, which the tables are to take no more. */
  | "old_hubs"
  | "in_use"
  /** Commits wait for a synchronous standby that is not there. */
  | "no_standby"
  /** The copy of this hub is of another store. */
  | "other_fleet"
  | "not_initialised"
  | "already_initialised";

/** A person has to change something; the message says what. */
export class FleetRefused extends Error {
  override readonly name = "FleetRefused";

  constructor(
    readonly reason: RefusalReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function transactionPooling(): FleetRefused {
  return new FleetRefused(
    "pooled",
    "a pooler in transaction mode stands before the database: name PostgreSQL itself in the URL, or set pool_mode = session for this database in PgBouncer",
  );
}

/** No host of the URL answered as a primary, or an answer did not come in time. It may at the next try. */
export class FleetUnreachable extends Error {
  override readonly name = "FleetUnreachable";
}

/** The database lacks batches that this replica has: it was restored, or its standby was promoted without them. */
export class FleetDiverged extends Error {
  override readonly name = "FleetDiverged";
}

/** The log begins after this replica's position: it needs a first copy. */
export class FleetOutrun extends Error {
  override readonly name = "FleetOutrun";
}
