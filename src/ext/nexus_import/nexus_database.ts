import { Client } from "pg";
import { CommandFailure } from "../../cli/kit.js";
import { exitCodes } from "../../core/registry.js";
import type { JsonObject } from "../../model/model.js";

/** A connection of Nexus, as its table has it. */
export interface NexusConnection {
  readonly id: string;
  /** The user, in the words of nexusd. */
  readonly workspace_id: string;
  readonly provider_id: string;
  readonly status: string;
  readonly scopes: readonly string[] | null;
}

/** What the database of Nexus holds. Grants are sealed there: the broker opens them. */
export interface NexusRecords {
  /** Rows of its profiles, secrets of clients included. */
  readonly providers: readonly JsonObject[];
  readonly connections: readonly NexusConnection[];
}

const connectTimeoutMs = 10_000;

/** @throws CommandFailure */
export async function readNexusDatabase(connectionString: string): Promise<NexusRecords> {
  const client = new Client({ connectionString, connectionTimeoutMillis: connectTimeoutMs });
  client.on("error", () => undefined);
  try {
    await client.connect();
    // One state of both tables.
    await client.query("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    // As JSON: which columns there are depends on the version of Nexus.
    const providers = await client.query<{ row: JsonObject }>(
      "SELECT to_jsonb(p) AS row FROM provider_profiles p ORDER BY p.name, p.id",
    );
    const connections = await client.query<{ row: NexusConnection }>(
      "SELECT to_jsonb(c) - 'code_verifier' AS row FROM connections c ORDER BY c.created_at, c.id",
    );
    return {
      providers: providers.rows.map(({ row }) => row),
      connections: connections.rows.map(({ row }) => row),
    };
  } catch (error) {
    // Of the server or the socket: the message may name the user and the database, and never the password.
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CommandFailure(
      exitCodes.failed,
      `the database of Nexus cannot be read: ${message === "" ? code : message}. Look at --database`,
      error,
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}
