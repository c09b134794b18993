import type { SealedCredential } from "../credentials/credential.js";
import type { Connection } from "./connection.js";

/** A token set whose commit failed with the store, as it lies in the spool file until the next start; or whose commit a fleet's database lost. */
export interface SpooledTokenSet {
  /** What brought it. `undone`: a refresh or a consent, and the database lost it afterwards. */
  readonly grant: SpooledGrant;
  /** The connection as the lost commit would have left it. */
  readonly connection: Connection;
  /** Of the revision that `connection` names; it was made with the revision before, which the store has unless it was undone. */
  readonly credential: SealedCredential;
  /**
   * What is in the store from before the request until its answer. It is the attempt of a mark of intent, or the key of an import or of a
   * device's pending authorization. Undefined for the consent of a browser, and in those of older releases.
   */
  readonly attempt?: string | undefined;
}

export const spooledGrants = ["refresh", "consent", "undone", "import"] as const;
export type SpooledGrant = (typeof spooledGrants)[number];

/**
 * What the next start makes of one: `stored`; `known`, since it was durable after all; `superseded`, since the connection has moved on; or
 * `data_loss`, since it cannot be opened.
 */
export const spoolOutcomes = ["stored", "known", "superseded", "data_loss"] as const;
export type SpoolOutcome = (typeof spoolOutcomes)[number];
