import type { Clock } from "../../../../runtime/runtime.js";
import type { Connector } from "./connector.js";
import { FleetUnreachable } from "./fleet_error.js";
import type { ColumnValue, DatabaseSession, Parameter } from "./session.js";

/** Statements of one purpose, each on the same connection until an error ends it. Nothing is asked twice: that is the caller's to decide. */
export class Channel {
  #opening: Promise<DatabaseSession> | undefined;
  #isClosed = false;
  #openedMs: number | undefined;
  /** Whether the database was away since this process began. */
  #wasAway = false;

  constructor(
    private readonly connector: Connector,
    private readonly purpose: string,
  ) {}

  get clock(): Clock {
    return this.connector.clock;
  }

  /** For how long the connection is there, where another one was cut or an attempt failed before it. */
  get sinceReconnectMs(): number | undefined {
    if (!this.#wasAway || this.#openedMs === undefined) return undefined;
    return this.connector.clock.monotonicMs() - this.#openedMs;
  }

  /** A connection that is alive as far as one knows. */
  async session(): Promise<DatabaseSession> {
    if (this.#isClosed) throw new FleetUnreachable("the connections to the database were closed");
    this.#opening ??= this.#open();
    return await this.#opening;
  }

  /** @throws FleetRefused, FleetUnreachable, or the server's error; each of them ends the connection */
  async query<Row extends Record<string, ColumnValue>>(
    text: string,
    values: readonly Parameter[] = [],
    deadlineMs?: number,
  ): Promise<Row[]> {
    const session = await this.session();
    try {
      return await session.query<Row>(text, values, deadlineMs);
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** The one value of the one row, as text; undefined for null. */
  async value(text: string, values: readonly Parameter[] = []): Promise<string | undefined> {
    const [row] = await this.query<{ value: ColumnValue }>(text, values);
    const value = row?.value ?? undefined;
    return value === undefined ? undefined : String(value);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opening = this.#opening;
    await opening?.then(
      (session) => session.close(),
      () => undefined,
    );
  }

  async #open(): Promise<DatabaseSession> {
    try {
      const { session } = await this.connector.open(this.purpose);
      if (this.#openedMs !== undefined) this.#wasAway = true;
      this.#openedMs = this.connector.clock.monotonicMs();
      session.onEnd(() => {
        this.#opening = undefined;
      });
      if (this.#isClosed) session.close();
      return session;
    } catch (error) {
      this.#opening = undefined;
      this.#wasAway = true;
      throw error;
    }
  }
}
