import type { Connection } from "./connection.js";
import type { SealedCredential } from "../credentials/credential.js";

/** A token set whose commit failed with the store, as it lies in the rescue file until the next start. */
export interface RescuedTokenSet {
  /** What brought it: only a refresh leaves a mark of intent in the store. */
  readonly grant: RescuedGrant;
  /** The connection as the lost commit would have left it. */
  readonly connection: Connection;
  /** Of the revision that `connection` names; it was made with the revision before. */
  readonly credential: SealedCredential;
}

export const rescuedGrants = ["refresh", "consent"] as const;
export type RescuedGrant = (typeof rescuedGrants)[number];

/**
 * What the next start makes of one: `stored`; `known`, since it was durable after all; `superseded`, since the connection has moved on; or
 * `data_loss`, since it cannot be opened.
 */
export const rescueOutcomes = ["stored", "known", "superseded", "data_loss"] as const;
export type RescueOutcome = (typeof rescueOutcomes)[number];
