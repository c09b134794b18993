/**
 * A provider that refuses the client of its profile: none of its connections is refreshed, one probe at a time excepted. While it is
 * unconfirmed only one connection was refused, and the others are refreshed as they fall due.
 */
export interface Suspension {
  readonly providerId: string;
  /** The version of the profile that was refused; another one ends the suspension. */
  readonly profileVersion: bigint;
  readonly sinceMs: number;
  /** Refusals in a row: the first, then one for each probe. */
  readonly failures: number;
  /** When the next probe may be made. */
  readonly retryAtMs: number;
  /** The connection that was refused last: the next probe is made with the one after it. */
  readonly probeConnectionId: string;
  /** It is over, and its connections are being woken. */
  readonly resuming: boolean;
  /** Only `probeConnectionId` was refused, and no other was refused or accepted since. */
  readonly unconfirmed: boolean;
}
