import { FleetRefused } from "./fleet_error.js";

/**
 * One change of the fleet's tables and functions, in two parts, so that hubs of two versions run side by side in between. Files of `sql/`;
 * each is run once, in one transaction with the others, and keeps its locks until then: what takes long does not belong into it.
 */
export interface Layout {
  /** Adds what hubs of this layout need. For older hubs nothing changes: what they read, call and write is as it was. */
  readonly expand: readonly string[];
  /** Takes away what only older hubs need, of which none is there any more. The `expand` of later layouts may come before it. */
  readonly contract: readonly string[];
}

/** The first leads to layout 1, each next to one more. What was published stays as it is: a change is a new one at the end. */
export const layouts: readonly Layout[] = [
  { expand: ["001_tables.sql", "002_functions.sql"], contract: [] },
  // No table changes: hubs that know only layout 1 ignore some limits of API keys, and stopped principals.
  { expand: [], contract: [] },
  // Nor do any: hubs that know only layout 2 ignore limits of uses, and know no tables of labels and of counts.
  { expand: [], contract: [] },
];

/** Hubs that know it honor every limit of API keys, and leave to the leader what goes by earlier requests. */
export const limitsLayout = 3;

/**
 * The one that this version knows: the tables are of it or a newer one. What older hubs do not know, in tables and in records, is written
 * once `minLayout` has come this far.
 */
export const layout = layouts.length;

/** What the database says of its tables. */
export interface TableLayout {
  /** Up to this one they were expanded; 0: there are none. */
  readonly layout: number;
  /** Up to this one they were contracted: the oldest one that a hub may know. */
  readonly minLayout: number;
}

export function tooOld(found: number, known: number): FleetRefused {
  return new FleetRefused(
    "old_layout",
    `the tables of the fleet are of layout ${found}, and this nexusd needs layout ${known}: run nexusd fleet migrate, of this version`,
  );
}

export function tooNew(minLayout: number, known: number): FleetRefused {
  return new FleetRefused(
    "new_layout",
    `the fleet takes hubs of layout ${minLayout} or newer, and this nexusd knows layout ${known}: start a newer version`,
  );
}
