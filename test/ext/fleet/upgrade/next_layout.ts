import { type Layout, layouts } from "../../../../src/ext/fleet/database/connection/layouts.js";

const fileOf = (name: string): string => new URL(name, import.meta.url).href;

/** The layouts of a version that there is not: this one's, and one more. */
export const nextLayouts: readonly Layout[] = [
  ...layouts,
  { expand: [fileOf("004_expand.sql")], contract: [fileOf("004_contract.sql")] },
];
