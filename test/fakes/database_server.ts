import { join } from "node:path";
import { Client } from "pg";

/** A PostgreSQL that runs, behind a Unix socket, with the role and database `nexus`. */
export class DatabaseServer {
  constructor(
    /** Of the socket and the data. */
    readonly folder: string,
    /** 5432, but where it listens on 127.0.0.1. */
    readonly port = 5432,
  ) {}

  /** For the role `nexus`. @param folder of the socket; that of a proxy */
  url(folder = this.folder): string {
    return `postgres://nexus@/nexus?host=${encodeURIComponent(folder)}&port=${this.port}`;
  }

  get socketPath(): string {
    return join(this.folder, `.s.PGSQL.${this.port}`);
  }

  /** Runs statements as the superuser. */
  async query<Row extends object>(text: string, database = "nexus"): Promise<Row[]> {
    return await this.queryWith(text, [], database);
  }

  /** One statement with its parameters. */
  async queryWith<Row extends object>(
    text: string,
    values: readonly unknown[],
    database = "nexus",
  ): Promise<Row[]> {
    const client = await this.client(database);
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** A connection of the superuser. */
  async client(database = "nexus"): Promise<Client> {
    const client = new Client({ host: this.folder, port: this.port, user: "postgres", database });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Adds a setting and has it read. */
  async set(name: string, value: string): Promise<void> {
    await this.query(`ALTER SYSTEM SET ${name} = '${value}'`, "postgres");
    await this.query("SELECT pg_reload_conf()", "postgres");
  }

  /** Whoever started it stops it. */
  async close(): Promise<void> {}
}
