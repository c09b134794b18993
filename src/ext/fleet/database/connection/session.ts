import { Client, type ClientConfig } from "pg";
import { type Clock, setDeadline } from "../../../../runtime/runtime.js";
import { type DatabaseAddress, type DatabaseHost, readTlsFiles } from "./database_url.js";
import { FleetRefused, FleetUnreachable } from "./fleet_error.js";

/** A link may be half open: what is not answered by then is asked again, on a new connection. */
export const answerDeadlineMs = 3_000;

/** A column as text, or the bytes of a `bytea`. */
export type ColumnValue = string | number | boolean | Buffer | readonly string[] | null;
/** What a statement is given; a `Buffer` goes as the binary form of its type. */
export type Parameter = string | number | Buffer | readonly string[] | null;

/**
 * What each session begins with, whatever the defaults of role and database are. A statement that is canceled while it waits for the
 * standbys is visible and may be lost. So only its lock may cancel one, and a warning must be noticed.
 */
const beginning =
  "SET statement_timeout = 0; SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; SET lock_timeout = 2500";
/** Ends what waits for a lock when this process is gone. PostgreSQL has it from 14 on, and not on every platform. */
const optional = "SET client_connection_check_interval = '1s'; SET idle_session_timeout = 0";

/** SQLSTATE of what a person has to mend: no such role or database, a wrong password, a certificate that was refused. */
const loginStates = new Set(["28000", "28P01", "3D000", "42501"]);
/** SQLSTATE of a privilege that the role lacks. */
const deniedState = "42501";

/** One connection to one server. It is over after the first error of its socket or deadline, and never connects again. */
export class DatabaseSession {
  readonly #client: Client;
  readonly #clock: Clock;
  #isOver = false;
  /** Process of the server that answered first. */
  #server: number | undefined;
  #warnings = 0;
  /** The client is given one statement at a time: its own queue goes away with its next major version. */
  #before: Promise<unknown> = Promise.resolve();
  readonly #ended = new Set<() => void>();

  private constructor(
    client: Client,
    clock: Clock,
    private readonly address: DatabaseAddress,
  ) {
    this.#client = client;
    this.#clock = clock;
    client.on("error", () => this.#finish());
    client.on("end", () => this.#finish());
    client.on("notice", ({ severity }) => {
      if (severity === "WARNING") this.#warnings++;
    });
  }

  /** @throws FleetRefused for what a person has to mend, FleetUnreachable otherwise */
  static async open(
    address: DatabaseAddress,
    host: DatabaseHost,
    clock: Clock,
    purpose: string,
  ): Promise<DatabaseSession> {
    let isBound = false;
    const tls = host.isSocket ? false : { ...readTlsFiles(address), rejectUnauthorized: true };
    const config: ClientConfig = {
      host: host.host,
      port: host.port,
      user: address.user,
      // Without one of ours the client would look for files of the person's.
      password: () => passwordFor(address, host, isBound),
      enableChannelBinding: address.channelBinding !== "disable",
      database: address.database,
      ssl: tls,
      keepAlive: true,
      application_name: `${address.applicationName} ${purpose}`,
    };
    const client = new Client(config);
    client.connection.once("authenticationSASL", ({ mechanisms }: { mechanisms: readonly string[] }) => {
      isBound = mechanisms.includes("SCRAM-SHA-256-PLUS");
    });
    const session = new DatabaseSession(client, clock, address);
    try {
      await session.#within(answerDeadlineMs, client.connect());
      passwordFor(address, host, isBound);
      await session.#within(answerDeadlineMs, session.#client.query(beginning));
      await session.#within(answerDeadlineMs, session.#client.query(optional)).catch((error: unknown) => {
        if (!isOfServer(error)) throw error;
      });
      return session;
    } catch (cause) {
      session.close();
      throw openingError(cause, host);
    }
  }

  /** The server's process, as it was reported at the beginning: a pooler shows a number of its own. */
  get pid(): number | null {
    return (this.#client as Client & { readonly processID: number | null }).processID;
  }

  /** Whether the same process of the server answers as before. One connection has one, unless a pooler lends it another. */
  isServedBy(server: number): boolean {
    this.#server ??= server;
    return this.#server === server;
  }

  /** Whether it answers nothing any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** How many warnings the server sent. */
  get warnings(): number {
    return this.#warnings;
  }

  /**
   * Runs one statement.
   *
   * @throws FleetUnreachable after the deadline or a cut; FleetRefused where the role lacks a privilege; the server's error otherwise
   */
  async query<Row extends Record<string, ColumnValue>>(
    text: string,
    values: readonly Parameter[] = [],
    deadlineMs = answerDeadlineMs,
  ): Promise<Row[]> {
    if (this.#isOver) throw new FleetUnreachable("the connection to the database is over");
    const answer = this.#before.then(() => this.#client.query<Row>(text, [...values]));
    this.#before = answer.catch(() => undefined);
    try {
      return (await this.#within(deadlineMs, answer)).rows;
    } catch (error) {
      throw isOfServer(error) && error.code === deniedState ? denied(error, this.address) : error;
    }
  }

  /** Calls `onNotification` for each `NOTIFY` of a channel. */
  async listen(channel: string, onNotification: () => void): Promise<void> {
    this.#client.on("notification", onNotification);
    await this.query(`LISTEN ${channel}`);
  }

  /** Calls `ended` once, when it is over. */
  onEnd(ended: () => void): void {
    if (this.#isOver) ended();
    else this.#ended.add(ended);
  }

  /** Closes the socket at once. What was asked may have been done. */
  close(): void {
    this.#finish();
    socketOf(this.#client).destroy();
  }

  #finish(): void {
    this.#isOver = true;
    for (const ended of this.#ended) ended();
    this.#ended.clear();
  }

  #within<T>(deadlineMs: number, answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        timer.cancel();
        this.#ended.delete(cut);
        act();
      };
      const cut = (): void =>
        settle(() => reject(new FleetUnreachable("the connection to the database was cut")));
      const timer = setDeadline(this.#clock, deadlineMs, () => {
        settle(() => reject(new FleetUnreachable(`the database did not answer within ${deadlineMs} ms`)));
        this.close();
      });
      this.#ended.add(cut);
      answer.then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }
}

/** Whether the server itself reported it: the connection goes on. */
export function isOfServer(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error && "severity" in error && typeof (error as { code?: unknown }).code === "string"
  );
}

function denied(cause: Error, { user, database }: DatabaseAddress): FleetRefused {
  return new FleetRefused(
    "privileges",
    `the role may not do what a fleet needs (${cause.message}): GRANT CREATE ON DATABASE "${database}" TO "${user}", ` +
      `or where the schema is there GRANT USAGE, CREATE ON SCHEMA nexus TO "${user}"; then run nexusd fleet init as this role`,
    { cause },
  );
}

/** The client waits for ever to end a link that is half open: its socket is destroyed instead. */
function socketOf(client: Client): { destroy(): void } {
  return client.connection.stream;
}

/** @throws FleetRefused before the password is sent to a server that offers less than the URL wants */
function passwordFor(
  { channelBinding, password = "" }: DatabaseAddress,
  host: DatabaseHost,
  isBound: boolean,
): string {
  if (channelBinding !== "require" || isBound) return password;
  throw new FleetRefused(
    "login",
    `the database at ${placeOf(host)} does not bind logins to TLS (SCRAM-SHA-256-PLUS), which channel_binding=require of the URL wants`,
  );
}

/** What the server reported, beneath the errors that say where. */
export function serverErrorIn(error: unknown): (Error & { readonly code: string }) | undefined {
  for (let each = error; each instanceof Error; each = each.cause) if (isOfServer(each)) return each;
  return undefined;
}

export function placeOf({ host, port, isSocket }: DatabaseHost): string {
  return isSocket ? host : `${host}:${port}`;
}

function openingError(cause: unknown, host: DatabaseHost): Error {
  if (cause instanceof FleetRefused) return cause;
  const place = placeOf(host);
  const { message } = cause as Error;
  if (isOfServer(cause) && loginStates.has(cause.code)) {
    return new FleetRefused("login", `the database at ${place} refuses the login: ${message}`, { cause });
  }
  return new FleetUnreachable(`the database at ${place} cannot be reached: ${message}`, { cause });
}
