import type { Channel } from "./connection/channel.js";
import { encodeArray } from "./log/frames.js";

/** A token set takes some kilobytes. */
const pageEntries = 100;

/** A token set as a spool file holds it: sealed. */
export interface LeftTokenSet {
  readonly digest: Buffer;
  readonly tokenSet: Buffer;
}

/**
 * Former leaders leave the answers of providers here, until the leader takes them in. A hub that learns that it no longer leads has just
 * reached the database, and need not reach its successor.
 */
export class FleetSpool {
  constructor(private readonly channel: Channel) {}

  /** They are durable when it resolves. The same one is there once, however often it is left. @throws FleetUnreachable */
  async leave(tokenSets: readonly Uint8Array[]): Promise<void> {
    await this.channel.query("SELECT nexus.hand_over_1($1::bytea[])", [encodeArray("bytea", tokenSets)]);
  }

  /** The oldest, up to a hundred, of those that are not passed over. @throws FleetUnreachable */
  async list(passedOver: readonly Uint8Array[] = []): Promise<LeftTokenSet[]> {
    const rows = await this.channel.query<{ digest: Buffer; token_set: Buffer }>(
      `SELECT digest, token_set FROM nexus.spool WHERE digest <> ALL ($1::bytea[]) ORDER BY at, digest LIMIT ${pageEntries}`,
      [encodeArray("bytea", passedOver)],
    );
    return rows.map(({ digest, token_set: tokenSet }) => ({ digest, tokenSet }));
  }

  /** Of those whose outcome is durable. @throws FleetUnreachable */
  async drop(digests: readonly Uint8Array[]): Promise<void> {
    await this.channel.query("SELECT nexus.taken_in_1($1::bytea[])", [encodeArray("bytea", digests)]);
  }
}
